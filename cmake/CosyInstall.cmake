# make install: headers, libraries, the command, cosy.pc and the CMake package. Only from a plain build.
if(NOT COSY_PLAIN_BUILD)
    return()
endif()
include(CMakePackageConfigHelpers)

install(TARGETS cosy cosy_static EXPORT cosy-targets
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS cosy_tool RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
if(COSY_VARIANTS)
    install(TARGETS ${COSY_VARIANTS} ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}/cosy")
endif()
install(DIRECTORY "${CMAKE_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/cosy")
install(EXPORT cosy-targets NAMESPACE cosy:: DESTINATION "${package_dir}" FILE cosy-targets.cmake)
configure_package_config_file("${CMAKE_SOURCE_DIR}/cmake/cosy-config.cmake.in" "${CMAKE_BINARY_DIR}/cosy-config.cmake"
    INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/cosy-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/cosy-config.cmake" "${CMAKE_BINARY_DIR}/cosy-config-version.cmake"
    DESTINATION "${package_dir}")

# cosy.pc finds its prefix from its own place, so that an unpacked or moved prefix works.
file(RELATIVE_PATH COSY_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" COSY_PC_PREFIX "${CMAKE_INSTALL_PREFIX}|${COSY_PC_PREFIX}")
string(REGEX REPLACE "^[^|]*\\|" "\${pcfiledir}/" COSY_PC_PREFIX "${COSY_PC_PREFIX}")
foreach(dir LIBDIR INCLUDEDIR)
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
        set(COSY_PC_${dir} "${CMAKE_INSTALL_${dir}}")
    else()
        set(COSY_PC_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
    endif()
endforeach()
list(JOIN COSY_USER_C_ERRORS " " errors)
list(JOIN COSY_USER_CODEGEN " " codegen)
string(APPEND codegen " ${COSY_USER_FRAMES}")
set(COSY_PC_CFLAGS "-D_GNU_SOURCE= ${errors} ${codegen}") # as `cosy run` compiles
list(JOIN COSY_USER_LINK " " COSY_PC_LIBS)
set(COSY_PC_LIBS_PRIVATE "")
foreach(library IN LISTS COSY_LINK_LIBRARIES)
    string(APPEND COSY_PC_LIBS_PRIVATE "-l${library} ")
endforeach()
string(APPEND COSY_PC_LIBS_PRIVATE "-pthread")
configure_file("${CMAKE_SOURCE_DIR}/cmake/cosy.pc.in" "${CMAKE_BINARY_DIR}/cosy.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/cosy.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
