# Every examples/*.c and examples/misuse/*.c is a program, built as a user's would be, with warnings as errors.
# With COSY_BUILD_TESTS each runs on every backend, and what it prints is compared with its last comment.

# Examples that need another library are left out where that is not installed.
set(COSY_EXAMPLE_NEEDS_curl_multi LIBCURL)
set(COSY_EXAMPLE_NEEDS_c_ares LIBCARES)

function(cosy_example file target test)
    add_executable(${target} "${file}")
    set_target_properties(${target} PROPERTIES OUTPUT_NAME "${test}" RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/examples")
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Werror)
    target_link_libraries(${target} PRIVATE cosy_static)
    # Sanitizers and valgrind tell of a stack overflow in words of their own.
    if(COSY_BUILD_TESTS AND NOT (test STREQUAL "misuse.stack_overflow" AND (COSY_SANITIZE OR COSY_VALGRIND)))
        cosy_test_on_backends("${test}" "${Python3_EXECUTABLE};${CMAKE_SOURCE_DIR}/tests/examples/run_example.py;${file};--"
            "$<TARGET_FILE:${target}>")
    endif()
endfunction()

file(GLOB examples CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/examples/*.c")
foreach(file IN LISTS examples)
    get_filename_component(name "${file}" NAME_WE)
    set(needs "${COSY_EXAMPLE_NEEDS_${name}}")
    if(needs AND (NOT COSY_HAVE_${needs} OR CMAKE_CROSSCOMPILING))
        continue()
    endif()
    cosy_example("${file}" example_${name} example.${name})
    if(needs)
        target_include_directories(example_${name} SYSTEM PRIVATE ${${needs}_INCLUDE_DIRS})
        target_link_directories(example_${name} PRIVATE ${${needs}_LIBRARY_DIRS})
        target_link_libraries(example_${name} PRIVATE ${${needs}_LIBRARIES})
    endif()
endforeach()
if(COSY_BUILD_TESTS AND TARGET example_curl_multi)
    cosy_test_on_backends(example.curl_multi.http_server "${Python3_EXECUTABLE};${CMAKE_SOURCE_DIR}/tests/examples/test_curl.py"
        "$<TARGET_FILE:example_curl_multi>")
endif()
file(GLOB misuses CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/examples/misuse/*.c")
foreach(file IN LISTS misuses)
    get_filename_component(name "${file}" NAME_WE)
    cosy_example("${file}" misuse_${name} misuse.${name})
endforeach()

# Examples beside programs of others (tests/net).
if(COSY_BUILD_TESTS AND NOT CMAKE_CROSSCOMPILING)
    cosy_test(net.fetch.uring COSY_BACKEND=uring $<TARGET_FILE:with_uring> "${Python3_EXECUTABLE}"
        "${CMAKE_SOURCE_DIR}/tests/net/test_fetch.py" ${COSY_LAUNCHER} $<TARGET_FILE:example_fan_out_fetch>)
    cosy_test(net.fetch.epoll COSY_BACKEND=epoll "${Python3_EXECUTABLE}"
        "${CMAKE_SOURCE_DIR}/tests/net/test_fetch.py" ${COSY_LAUNCHER} $<TARGET_FILE:example_fan_out_fetch>)
    if(TARGET example_port_forwarder)
        cosy_test(net.forwarder.uring COSY_BACKEND=uring $<TARGET_FILE:with_uring> "${Python3_EXECUTABLE}"
            "${CMAKE_SOURCE_DIR}/tests/net/test_forwarder.py" ${COSY_LAUNCHER} $<TARGET_FILE:example_port_forwarder>)
        cosy_test(net.forwarder.epoll COSY_BACKEND=epoll "${Python3_EXECUTABLE}"
            "${CMAKE_SOURCE_DIR}/tests/net/test_forwarder.py" ${COSY_LAUNCHER} $<TARGET_FILE:example_port_forwarder>)
    endif()
endif()
