# Manual pages, made from the comments of the public headers into the build folder's man/.

if(COSY_PLAIN_BUILD)
    find_package(Python3 3.7 QUIET COMPONENTS Interpreter)
    if(Python3_Interpreter_FOUND)
        file(GLOB headers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/include/*.h" "${CMAKE_SOURCE_DIR}/include/cosy/*.h")
        set(man_script "${CMAKE_SOURCE_DIR}/scripts/man.py")
        set(man_stamp "${CMAKE_BINARY_DIR}/man/made")
        add_custom_command(OUTPUT "${man_stamp}"
            COMMAND "${Python3_EXECUTABLE}" "${man_script}" --output "${CMAKE_BINARY_DIR}/man" "${CMAKE_SOURCE_DIR}/include"
            COMMAND "${CMAKE_COMMAND}" -E touch "${man_stamp}"
            DEPENDS "${man_script}" ${headers}
            COMMENT "Writing the manual pages" VERBATIM)
        add_custom_target(man ALL DEPENDS "${man_stamp}")
        foreach(section 3 7)
            install(DIRECTORY "${CMAKE_BINARY_DIR}/man/man${section}" DESTINATION "${CMAKE_INSTALL_MANDIR}" OPTIONAL
                FILES_MATCHING PATTERN "*.${section}")
        endforeach()
    else()
        message(STATUS "cosy: no python3: the manual pages are left out")
    endif()
endif()

if(COSY_BUILD_TESTS AND COSY_PLAIN_BUILD)
    cosy_test(docs.man "CC=${CMAKE_C_COMPILER}" "${Python3_EXECUTABLE}" "${CMAKE_SOURCE_DIR}/tests/docs/test_man.py"
        "${CMAKE_SOURCE_DIR}")
    cosy_test(docs.man.proof "CC=${CMAKE_C_COMPILER}" "${Python3_EXECUTABLE}" "${CMAKE_SOURCE_DIR}/tests/docs/test_man.py"
        --prove)
    set(readme_test "${CMAKE_SOURCE_DIR}/tests/docs/test_readme.py")
    cosy_test(docs.readme "" "${Python3_EXECUTABLE}" "${readme_test}" "${CMAKE_SOURCE_DIR}")
    cosy_test(docs.readme.proof "" "${Python3_EXECUTABLE}" "${readme_test}" --prove)
endif()
