# The `cosy` command.

file(GLOB COSY_TOOL_SOURCES CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tools/cosy/*.c")
add_executable(cosy_tool ${COSY_TOOL_SOURCES})
set_target_properties(cosy_tool PROPERTIES OUTPUT_NAME cosy)
target_compile_options(cosy_tool PRIVATE ${COSY_WARNINGS})

file(RELATIVE_PATH COSY_RELATIVE_LIB_DIR "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
file(RELATIVE_PATH COSY_RELATIVE_INCLUDE_DIR "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
get_filename_component(COSY_BUILT_WITH "${CMAKE_C_COMPILER}" NAME)

set(libs ${COSY_USER_LINK})
foreach(dir IN LISTS COSY_LINK_DIRECTORIES)
    list(APPEND libs "-L${dir}")
endforeach()
foreach(library IN LISTS COSY_LINK_LIBRARIES)
    list(APPEND libs "-l${library}")
endforeach()
list(APPEND libs -lm -pthread)
list(JOIN libs " " COSY_TOOL_LIBS)
# A library that is itself instrumented (make asan) can only be linked by programs that are.
list(JOIN COSY_USER_C_ERRORS " " errors)
list(JOIN COSY_USER_CODEGEN " " codegen)
string(APPEND codegen " ${COSY_USER_FRAMES}")
list(JOIN COSY_SANITIZE_FLAGS " " sanitize)
string(STRIP "${errors} ${codegen} ${sanitize}" COSY_TOOL_CFLAGS)

target_compile_definitions(cosy_tool PRIVATE _GNU_SOURCE
    COSY_VERSION_STRING="${PROJECT_VERSION}"
    COSY_RELATIVE_LIB_DIR="${COSY_RELATIVE_LIB_DIR}"
    COSY_RELATIVE_INCLUDE_DIR="${COSY_RELATIVE_INCLUDE_DIR}"
    COSY_BUILT_WITH="${COSY_BUILT_WITH}"
    "COSY_USER_CFLAGS=\"${COSY_TOOL_CFLAGS}\""
    "COSY_USER_LIBS=\"${COSY_TOOL_LIBS}\"")

# The headers where an installed prefix would have them.
get_filename_component(parent "${CMAKE_BINARY_DIR}/${COSY_BUILD_INCLUDEDIR}" DIRECTORY)
file(MAKE_DIRECTORY "${parent}")
if(NOT EXISTS "${CMAKE_BINARY_DIR}/${COSY_BUILD_INCLUDEDIR}")
    file(CREATE_LINK "${CMAKE_SOURCE_DIR}/include" "${CMAKE_BINARY_DIR}/${COSY_BUILD_INCLUDEDIR}" SYMBOLIC)
endif()

# make check-async: awaits outside async code, over examples and sources.
file(GLOB_RECURSE checked CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/examples/*.c" "${CMAKE_SOURCE_DIR}/src/*.c")
list(TRANSFORM COSY_FEATURE_DEFINITIONS PREPEND -D OUTPUT_VARIABLE features)
add_custom_target(check-async
    COMMAND cosy_tool check "-I${CMAKE_SOURCE_DIR}/src" "-DCOSY_VERSION_STRING=\"${PROJECT_VERSION}\"" ${features} ${checked}
    VERBATIM)
