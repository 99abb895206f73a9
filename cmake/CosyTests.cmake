# The suite. Names: floor.room for what knows no backend, floor.room.uring, .epoll, .sim for the rest;
# example.NAME.BACKEND, misuse.NAME.BACKEND; layers, install, tools. `ctest -R '^task'`, `ctest -R sim$` choose.
# The plain build's programs run once more under valgrind, as valgrind.NAME: what is tested is what users get.

find_package(Python3 3.7 COMPONENTS Interpreter REQUIRED)
set(test_dir "${CMAKE_SOURCE_DIR}/tests")

# How a program of this build is run: under an emulator, without address randomisation, or plainly; or, where commands have this mark,
# plainly and under valgrind.
set(COSY_LAUNCHER ${CMAKE_CROSSCOMPILING_EMULATOR})
set(COSY_VALGRIND_MARK "@valgrind@")
set(COSY_TEST_TIMEOUT 120)
set(COSY_TEST_ENVIRONMENT "COSY_TEST_TOOL=none" "CK_DEFAULT_TIMEOUT=20")
if(COSY_PLAIN_BUILD)
    find_program(VALGRIND valgrind)
    if(VALGRIND)
        set(COSY_LAUNCHER "${COSY_VALGRIND_MARK}")
    else()
        message(STATUS "cosy: no valgrind: its suite is left out")
    endif()
    set(COSY_VALGRIND_COMMAND "${VALGRIND}" -q --fair-sched=yes --read-inline-info=no --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible
        --errors-for-leak-kinds=definite,indirect,possible --num-callers=30 --trace-children=no
        "--suppressions=${test_dir}/harness/valgrind.supp")
    set(COSY_VALGRIND_TIMEOUT 600)
    set(COSY_VALGRIND_ENVIRONMENT COSY_TEST_TOOL=valgrind CK_FORK=no CK_TIMEOUT_MULTIPLIER=20)
elseif(COSY_SANITIZE)
    set(COSY_TEST_TIMEOUT 600)
    set(COSY_TEST_ENVIRONMENT COSY_TEST_TOOL=${COSY_SANITIZE} CK_TIMEOUT_MULTIPLIER=10
        "ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=1:strict_string_checks=1"
        "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
        "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
elseif(CMAKE_CROSSCOMPILING)
    set(COSY_TEST_TIMEOUT 300)
    set(COSY_TEST_ENVIRONMENT COSY_TEST_TOOL=emulator CK_TIMEOUT_MULTIPLIER=10)
endif()

# The sanitizers of gcc 12 and 13 and of clang before 18 do not start where the kernel randomises many address bits.
if(COSY_SANITIZE AND NOT DEFINED COSY_FIX_ADDRESSES)
    file(WRITE "${CMAKE_BINARY_DIR}/probe/probe.c" "int main(void) { return 0; }\n")
    set(starts ON)
    foreach(attempt RANGE 4)
        try_run(ran built "${CMAKE_BINARY_DIR}/probe" "${CMAKE_BINARY_DIR}/probe/probe.c"
            COMPILE_DEFINITIONS ${COSY_SANITIZE_FLAGS} LINK_OPTIONS ${COSY_SANITIZE_FLAGS})
        if(NOT built OR NOT ran EQUAL 0)
            set(starts OFF)
        endif()
    endforeach()
    if(starts)
        set(COSY_FIX_ADDRESSES OFF CACHE INTERNAL "")
    else()
        set(COSY_FIX_ADDRESSES ON CACHE INTERNAL "")
    endif()
endif()
if(COSY_FIX_ADDRESSES)
    find_program(SETARCH setarch REQUIRED)
    set(COSY_LAUNCHER "${SETARCH}" "${CMAKE_HOST_SYSTEM_PROCESSOR}" -R)
endif()

# with_uring COMMAND...: says "skipped" (77) where the kernel refuses io_uring, otherwise runs the command.
if(NOT CMAKE_CROSSCOMPILING)
    add_executable(with_uring "${test_dir}/harness/with_uring.c")
    set_target_properties(with_uring PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    target_compile_definitions(with_uring PRIVATE _GNU_SOURCE ${COSY_FEATURE_DEFINITIONS})
    target_compile_options(with_uring PRIVATE ${COSY_WARNINGS})
endif()

# cosy_test(name environment command...): one entry of the suite, and a second one where the command has valgrind's mark.
# COSY_UNDER_VALGRIND: YES, NO (not there) or ONLY (there alone).
set(COSY_UNDER_VALGRIND YES)
function(cosy_test name environment)
    if(NOT COSY_UNDER_VALGRIND STREQUAL "ONLY")
        set(command ${ARGN})
        list(REMOVE_ITEM command "${COSY_VALGRIND_MARK}")
        add_test(NAME "${COSY_TEST_PREFIX}${name}" COMMAND ${command})
        set_tests_properties("${COSY_TEST_PREFIX}${name}" PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${COSY_TEST_TIMEOUT}
            ENVIRONMENT "${COSY_TEST_ENVIRONMENT};${environment}")
    endif()
    if(NOT COSY_UNDER_VALGRIND STREQUAL "NO" AND COSY_VALGRIND_MARK IN_LIST ARGN)
        string(REPLACE "${COSY_VALGRIND_MARK}" "${COSY_VALGRIND_COMMAND}" command "${ARGN}")
        add_test(NAME "valgrind.${name}" COMMAND ${command})
        set_tests_properties("valgrind.${name}" PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${COSY_VALGRIND_TIMEOUT}
            ENVIRONMENT "${COSY_VALGRIND_ENVIRONMENT};${environment}")
    endif()
endfunction()

# cosy_test_on_backends(name runner program...): three entries. The runner (may be empty) is a program of this
# machine that is given the launcher and the program.
set(COSY_TEST_BACKENDS uring epoll sim)
set(COSY_VALGRIND_BACKENDS uring epoll sim)
function(cosy_test_on_backends name runner)
    set(asked ${COSY_UNDER_VALGRIND})
    foreach(backend IN LISTS COSY_TEST_BACKENDS)
        set(gate "")
        if(backend STREQUAL "uring")
            if(CMAKE_CROSSCOMPILING)
                continue() # qemu's user emulation has no io_uring
            endif()
            set(gate $<TARGET_FILE:with_uring>)
        endif()
        set(COSY_UNDER_VALGRIND ${asked})
        if(NOT backend IN_LIST COSY_VALGRIND_BACKENDS)
            set(COSY_UNDER_VALGRIND NO)
        endif()
        cosy_test(${name}.${backend} COSY_BACKEND=${backend} ${gate} ${runner} ${COSY_LAUNCHER} ${ARGN})
    endforeach()
endfunction()

# tests/<floor>/test_<room>.c: with the library "check"; tests/plain/test_<what>.c: a main that returns 0, so that it
# needs nothing but a C library and runs on emulated machines too.
function(cosy_test_program floor file)
    get_filename_component(room "${file}" NAME_WE)
    string(REPLACE "test_" "" room "${room}")
    set(target test_${floor}_${room})
    add_executable(${target} "${file}")
    if(COSY_VALGRIND_MARK IN_LIST COSY_LAUNCHER)
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:each_backend>)
        target_link_options(${target} PRIVATE -Wl,--wrap=main)
    endif()
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    target_include_directories(${target} PRIVATE "${CMAKE_SOURCE_DIR}/src" ${CHECK_INCLUDE_DIRS})
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE ${COSY_FEATURE_DEFINITIONS})
    target_compile_options(${target} PRIVATE ${COSY_WARNINGS})
    if(COSY_SANITIZE)
        target_compile_options(${target} PRIVATE -O1 -g1) # the library is what it is; its tests need half the time to build
    endif()
    target_link_libraries(${target} PRIVATE cosy_static)
    if(NOT floor STREQUAL "plain")
        target_link_libraries(${target} PRIVATE ${CHECK_LIBRARIES})
    endif()
    if(floor STREQUAL "base" OR floor STREQUAL "sys" OR "${floor}.${room}" IN_LIST COSY_TESTS_WITHOUT_LOOP)
        cosy_test(${floor}.${room} "" ${COSY_LAUNCHER} $<TARGET_FILE:${target}>)
    elseif("${floor}.${room}" IN_LIST COSY_TESTS_FRESH)
        cosy_test_on_backends(${floor}.${room} "" $<TARGET_FILE:${target}>)
    else()
        set(COSY_UNDER_VALGRIND NO)
        cosy_test_on_backends(${floor}.${room} "" $<TARGET_FILE:${target}>)
        set(COSY_UNDER_VALGRIND ONLY) # one process for all of them
        cosy_test(${floor}.${room} "COSY_TEST_BACKENDS=uring epoll sim" ${COSY_LAUNCHER} $<TARGET_FILE:${target}>)
    endif()
endfunction()

# What rests on a fresh process: memory that was never used, static objects in their first state.
set(COSY_TESTS_FRESH flow.agen_end flow.asyncio_more flow.pool flow.runner io.dns_cache task.call)

# Under valgrind the greater part of a short test is the translation of the program, which so happens once for all backends.
add_library(each_backend OBJECT "${test_dir}/harness/each_backend.c")
target_compile_definitions(each_backend PRIVATE _GNU_SOURCE ${COSY_FEATURE_DEFINITIONS})
target_compile_options(each_backend PRIVATE ${COSY_WARNINGS} -fPIE)

# Of the floors above sys, those that make no loop: nothing in them differs from backend to backend.
set(COSY_TESTS_WITHOUT_LOOP loop.timers task.unwind)
# And those that always run on the simulated kernel.
list(APPEND COSY_TESTS_WITHOUT_LOOP tls.tls_torn tls.tls_faults)

set(test_floors plain)
if(CHECK_FOUND AND NOT CMAKE_CROSSCOMPILING)
    list(APPEND test_floors ${COSY_FLOORS})
endif()
if(NOT COSY_HAVE_OPENSSL)
    list(REMOVE_ITEM test_floors tls) # they make certificates
endif()
foreach(floor IN LISTS test_floors)
    file(GLOB files CONFIGURE_DEPENDS "${test_dir}/${floor}/test_*.c")
    foreach(file IN LISTS files)
        cosy_test_program(${floor} "${file}")
    endforeach()
endforeach()

# The schedule fuzzer (tests/fuzz): all workloads in one program, which always runs on the simulated kernel.
file(GLOB fuzz_sources CONFIGURE_DEPENDS "${test_dir}/fuzz/*.c" "${test_dir}/fuzz/workloads/*.c")
add_executable(fuzz_schedule ${fuzz_sources})
set_target_properties(fuzz_schedule PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
target_compile_definitions(fuzz_schedule PRIVATE _GNU_SOURCE)
target_compile_options(fuzz_schedule PRIVATE ${COSY_WARNINGS})
target_link_libraries(fuzz_schedule PRIVATE cosy_static)
set(fuzz_seeds 200)
if(COSY_SANITIZE STREQUAL "thread")
    set(fuzz_seeds 2)
elseif(COSY_SANITIZE OR CMAKE_CROSSCOMPILING)
    set(fuzz_seeds 4)
endif()
set(COSY_UNDER_VALGRIND NO)
cosy_test(fuzz.schedule.sim "" ${COSY_LAUNCHER} $<TARGET_FILE:fuzz_schedule> --seeds ${fuzz_seeds})
set(COSY_UNDER_VALGRIND ONLY)
cosy_test(fuzz.schedule.sim "" ${COSY_LAUNCHER} $<TARGET_FILE:fuzz_schedule> --seeds 4)
set(COSY_UNDER_VALGRIND YES)

# Connections on a network of their own, where the kernel permits namespaces (tests/net); what it lacks is skipped, and said.
if(NOT CMAKE_CROSSCOMPILING)
    add_executable(net_client "${test_dir}/net/net_client.c")
    set_target_properties(net_client PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    target_compile_definitions(net_client PRIVATE _GNU_SOURCE)
    target_compile_options(net_client PRIVATE ${COSY_WARNINGS})
    target_link_libraries(net_client PRIVATE cosy_static)
    foreach(backend uring epoll)
        set(gate "")
        set(COSY_UNDER_VALGRIND YES)
        if(backend STREQUAL "uring")
            set(gate $<TARGET_FILE:with_uring>)
            set(COSY_UNDER_VALGRIND NO) # mostly waiting for the network's own limits: the slow tools do it once
        elseif(COSY_SANITIZE STREQUAL "thread")
            continue()
        endif()
        foreach(cases plain netem)
            cosy_test(net.${cases}.${backend} COSY_BACKEND=${backend} ${gate} "${Python3_EXECUTABLE}"
                "${test_dir}/net/test_net.py" ${cases} ${COSY_LAUNCHER} $<TARGET_FILE:net_client>)
        endforeach()
    endforeach()
endif()

# Servers and clients that treat each other badly (tests/soak): `make soak SECONDS=300` for long, here for 4 seconds and
# with fewer clients where each costs more.
if(NOT CMAKE_CROSSCOMPILING)
    function(cosy_soak_program target)
        list(TRANSFORM ARGN PREPEND "${test_dir}/soak/")
        add_executable(${target} ${ARGN})
        set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
        target_include_directories(${target} PRIVATE "${CMAKE_SOURCE_DIR}/src")
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
        target_compile_options(${target} PRIVATE ${COSY_WARNINGS})
        target_link_libraries(${target} PRIVATE cosy_static)
    endfunction()
    cosy_soak_program(soak_connections soak.c serve.c load.c clients.c measure.c)
    cosy_soak_program(soak_workers workers.c)
    cosy_soak_program(soak_idle idle.c)
    cosy_soak_program(soak_processes processes.c)
    set(soak_clients 50)
    if(COSY_SANITIZE)
        set(soak_clients 10)
    endif()
    foreach(backend uring epoll)
        set(gate "")
        if(backend STREQUAL "uring")
            set(gate $<TARGET_FILE:with_uring>)
        endif()
        set(COSY_UNDER_VALGRIND NO)
        cosy_test(soak.connections.${backend} COSY_BACKEND=${backend} ${gate} ${COSY_LAUNCHER}
            $<TARGET_FILE:soak_connections> --seconds 4 --clients ${soak_clients})
        set(COSY_UNDER_VALGRIND ONLY)
        cosy_test(soak.connections.${backend} COSY_BACKEND=${backend} ${gate} ${COSY_LAUNCHER}
            $<TARGET_FILE:soak_connections> --seconds 4 --clients 4)
        set(COSY_UNDER_VALGRIND YES)
        cosy_test(soak.workers.${backend} COSY_BACKEND=${backend} ${gate} ${COSY_LAUNCHER} $<TARGET_FILE:soak_workers>)
        if(COSY_PLAIN_BUILD) # the tools have other ideas of memory
            cosy_test(soak.idle.${backend} COSY_BACKEND=${backend} ${gate} $<TARGET_FILE:soak_idle>)
        endif()
    endforeach()
    add_custom_target(soak COMMAND "${test_dir}/soak/soak.sh" $<TARGET_FILE:soak_connections> $<TARGET_FILE:with_uring>
        $<TARGET_FILE:soak_processes> DEPENDS soak_connections soak_processes with_uring USES_TERMINAL VERBATIM)
endif()

# Tests of the tree and of what is installed: once, from the plain build; the tool also under ASan.
if(COSY_PLAIN_BUILD)
    file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/tests/objects.txt" CONTENT "$<JOIN:$<TARGET_OBJECTS:cosy_static>,\n>\n")
    cosy_test(layers "" "${Python3_EXECUTABLE}" "${test_dir}/layers/test_layers.py" "${CMAKE_SOURCE_DIR}"
        "${CMAKE_BINARY_DIR}/tests/objects.txt" "${CMAKE_NM}")
    cosy_test(layers.proof "CC=${CMAKE_C_COMPILER}" "${Python3_EXECUTABLE}" "${test_dir}/layers/test_layers.py" --prove)
    cosy_test(examples.proof "" "${Python3_EXECUTABLE}" "${test_dir}/examples/run_example.py" --prove)
    cosy_test(install "CC=${CMAKE_C_COMPILER}" "${Python3_EXECUTABLE}" "${test_dir}/install/test_install.py"
        "${CMAKE_COMMAND}" "${CMAKE_BINARY_DIR}")
    set_tests_properties("${COSY_TEST_PREFIX}install" PROPERTIES TIMEOUT 600)
endif()
if(COSY_PLAIN_BUILD OR COSY_SANITIZE STREQUAL "address")
    cosy_test(tools "CC=${CMAKE_C_COMPILER};COSY_TEST_VARIANTS=${COSY_SANITIZER_LIBS}" "${Python3_EXECUTABLE}" "${test_dir}/tools/test_cosy.py" "$<TARGET_FILE:cosy_tool>")
    set_tests_properties("${COSY_TEST_PREFIX}tools" PROPERTIES TIMEOUT 600)
endif()
