# Every examples/*.c and examples/misuse/*.c is a program, built as a user's would be, with warnings as errors.
# With COSY_BUILD_TESTS each runs on every backend, and what it prints is compared with its last comment.

# An example is for reading: what it uses is tested in tests/, with every tool on every backend. So the slow tools look at it on one.
if(COSY_VALGRIND)
    set(COSY_TEST_BACKENDS epoll)
elseif(COSY_SANITIZE STREQUAL "thread")
    set(COSY_TEST_BACKENDS uring)
endif()

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

# Examples beside programs of others: tests/net/test_NAME.py drives one of them.
function(cosy_net_example name example)
    set(backends ${COSY_TEST_BACKENDS})
    list(REMOVE_ITEM backends sim)
    foreach(backend IN LISTS backends)
        set(gate "")
        if(backend STREQUAL "uring")
            set(gate $<TARGET_FILE:with_uring>)
        endif()
        cosy_test(net.${name}.${backend} COSY_BACKEND=${backend} ${gate} "${Python3_EXECUTABLE}"
            "${CMAKE_SOURCE_DIR}/tests/net/test_${name}.py" ${COSY_LAUNCHER} $<TARGET_FILE:example_${example}>)
    endforeach()
endfunction()

if(COSY_BUILD_TESTS AND NOT CMAKE_CROSSCOMPILING)
    cosy_net_example(fetch fan_out_fetch)
    cosy_net_example(forwarder port_forwarder)
    cosy_net_example(lines_and_clock lines_and_clock)
    cosy_net_example(udp_time udp_time)
    cosy_test(net.servers.uring COSY_BACKEND=uring $<TARGET_FILE:with_uring> "${Python3_EXECUTABLE}"
        "${CMAKE_SOURCE_DIR}/tests/net/test_servers.py" "${CMAKE_BINARY_DIR}/examples" ${COSY_LAUNCHER})
    cosy_test(net.servers.epoll COSY_BACKEND=epoll "${Python3_EXECUTABLE}"
        "${CMAKE_SOURCE_DIR}/tests/net/test_servers.py" "${CMAKE_BINARY_DIR}/examples" ${COSY_LAUNCHER})
endif()
