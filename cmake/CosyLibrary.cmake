# The library: cosy (shared), cosy_static, and the variants that announce their stacks to a sanitizer.

set(COSY_FLOORS base sys loop task sync flow io tls proto app)
set(COSY_SOURCES "")
foreach(floor IN LISTS COSY_FLOORS)
    file(GLOB_RECURSE found CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${floor}/*.c" "${CMAKE_SOURCE_DIR}/src/${floor}/*.S")
    list(APPEND COSY_SOURCES ${found})
endforeach()

# What the sources, and the tests with them, are told: always 0 or 1, so that #if never meets an unknown name.
set(COSY_FEATURE_DEFINITIONS "")
foreach(feature HAVE_LIBURING HAVE_LIBDW HAVE_LIBCARES HAVE_OPENSSL)
    if(COSY_${feature})
        list(APPEND COSY_FEATURE_DEFINITIONS COSY_${feature}=1)
    else()
        list(APPEND COSY_FEATURE_DEFINITIONS COSY_${feature}=0)
    endif()
endforeach()

# The plain names of what the library needs, for cosy.pc, the exported targets and `cosy run`.
set(COSY_LINK_LIBRARIES "")
set(COSY_LINK_DIRECTORIES "")
foreach(optional LIBURING LIBDW LIBCARES OPENSSL)
    if(COSY_HAVE_${optional})
        list(APPEND COSY_LINK_LIBRARIES ${${optional}_LIBRARIES})
        list(APPEND COSY_LINK_DIRECTORIES ${${optional}_LIBRARY_DIRS})
    endif()
endforeach()

# cosy_library(target kind): what every variant has in common, inside and for those who link it. Which optional source
# is compiled is decided by the sources (#if COSY_HAVE_LIBURING), not here: one list for all.
function(cosy_library target kind)
    add_library(${target} ${kind} ${COSY_SOURCES})
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
    target_include_directories(${target} PRIVATE "${CMAKE_SOURCE_DIR}/src"
        PUBLIC "$<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE COSY_VERSION_STRING="${PROJECT_VERSION}"
        ${COSY_FEATURE_DEFINITIONS} INTERFACE "$<INSTALL_INTERFACE:_GNU_SOURCE=>") # as `cosy run` compiles
    # Places of the library in tracebacks: src/flow/timeout.c, not the path of whoever built it.
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C>:-fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=>"
        "$<$<COMPILE_LANGUAGE:C>:${COSY_WARNINGS}>"
        "$<$<COMPILE_LANGUAGE:C>:-fno-semantic-interposition;-ftls-model=initial-exec;${COSY_LIBRARY_CODEGEN}>"
        PUBLIC "$<$<COMPILE_LANGUAGE:C>:${COSY_USER_C_ERRORS}>" "$<$<COMPILE_LANGUAGE:C,CXX>:${COSY_USER_CODEGEN}>"
        INTERFACE "$<$<COMPILE_LANGUAGE:C,CXX>:${COSY_USER_FRAMES}>")
    target_link_libraries(${target} PRIVATE ${COSY_LINK_LIBRARIES} PUBLIC Threads::Threads)
    target_link_directories(${target} PRIVATE ${COSY_LINK_DIRECTORIES})
    target_link_options(${target} INTERFACE ${COSY_USER_LINK})
    foreach(optional LIBURING LIBDW LIBCARES OPENSSL)
        if(COSY_HAVE_${optional})
            target_include_directories(${target} SYSTEM PRIVATE ${${optional}_INCLUDE_DIRS})
        endif()
    endforeach()
endfunction()

cosy_library(cosy_static STATIC)
set_target_properties(cosy_static PROPERTIES OUTPUT_NAME cosy EXPORT_NAME cosy_static)
if(NOT CMAKE_POSITION_INDEPENDENT_CODE)
    # Programs link it, and programs are position independent executables. Code for a shared object (set
    # CMAKE_POSITION_INDEPENDENT_CODE to get it) would reach its own variables through a table.
    target_compile_options(cosy_static PRIVATE -fPIE)
endif()

if(COSY_PLAIN_BUILD)
    cosy_library(cosy SHARED)
    set_target_properties(cosy PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${COSY_SOVERSION}
        LINK_DEPENDS "${CMAKE_SOURCE_DIR}/cmake/libcosy.map")
    target_compile_options(cosy PRIVATE $<$<COMPILE_LANGUAGE:C>:-fno-plt>)
    target_link_options(cosy PRIVATE "-Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/libcosy.map"
        -Wl,-Bsymbolic-functions -Wl,-z,now -Wl,-z,relro -Wl,--no-undefined)
endif()

# libcosy_address.a and libcosy_thread.a: a sanitizer must be told of every switch of stacks, which costs, so the
# usual library does not. Only what this compiler can link is built.
set(COSY_VARIANTS "")
if(COSY_SANITIZER_LIBS)
    include(CheckCSourceCompiles)
    foreach(kind address thread)
        set(CMAKE_REQUIRED_FLAGS "-fsanitize=${kind}")
        check_c_source_compiles("int main(void) { return 0; }" COSY_CAN_SANITIZE_${kind})
        unset(CMAKE_REQUIRED_FLAGS)
        if(COSY_CAN_SANITIZE_${kind})
            cosy_library(cosy_${kind} STATIC)
            target_compile_options(cosy_${kind} PRIVATE -fPIE ${COSY_SANITIZE_${kind}})
            set_target_properties(cosy_${kind} PROPERTIES
                ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}/cosy")
            list(APPEND COSY_VARIANTS cosy_${kind})
        endif()
    endforeach()
endif()
