%% erl -run bench main ROW SIZE: processes on one scheduler. CPU time comes from getrusage (statistics(runtime)), in ms.
-module(bench).
-export([main/1]).

-define(FIRE_FIRST, 100).
-define(FIRE_SPREAD, 200).
-define(CANCEL_FIRST, 100000).
-define(CANCEL_SPREAD, 1000000).
-define(CANCEL_BATCH, 100).

main([Row, Size]) ->
    run(Row, list_to_integer(Size)),
    halt(0).

run("switch" ++ Tasks = Row, Size) -> switch(Row, list_to_integer(Tasks), Size);
run("spawn", Size) ->
    spawn_batches(20),
    report("spawn", cpu_ns(fun() -> spawn_batches(Size div 1000) end) / Size, "ns");
run("skynet", Size) ->
    skynet(self(), 0, Size div 10),
    sum(1, 0),
    Expected = Size * (Size - 1) div 2,
    report("skynet", cpu_ns(fun() -> skynet(self(), 0, Size), Expected = sum(1, 0) end) / 1.0e6, "ms");
run("memory", Size) -> memory(Size);
run("timer_cancel", Size) ->
    [start_timer(I, ?CANCEL_FIRST, ?CANCEL_SPREAD) || I <- lists:seq(1, Size)],
    churn(Size div 10, Size),
    report("timer_cancel", cpu_ns(fun() -> churn(Size, 2 * Size) end) / Size, "ns");
run("timer_fire", Size) ->
    fire(Size div 10),
    report("timer_fire", cpu_ns(fun() -> fire(Size) end) / Size, "ns");
run(Row, _) -> io:format("~s n/a~n", [Row]).

report(Row, Value, Unit) -> io:format("~s ~.4f ~s~n", [Row, float(Value), Unit]).

cpu_ns(Fun) ->
    {Before, _} = statistics(runtime),
    Fun(),
    {After, _} = statistics(runtime),
    (After - Before) * 1.0e6.

await(0) -> ok;
await(N) -> receive done -> await(N - 1) end.

%% Two functions, so that processes are suspended at different sites.
yield_a(0, Parent) -> Parent ! done;
yield_a(N, Parent) -> erlang:yield(), yield_a(N - 1, Parent).
yield_b(Parent, 0) -> Parent ! done;
yield_b(Parent, N) -> erlang:yield(), yield_b(Parent, N - 1).

run_switch(Tasks, Each) ->
    Self = self(),
    [case I rem 2 of
         0 -> spawn(fun() -> yield_a(Each, Self) end);
         1 -> spawn(fun() -> yield_b(Self, Each) end)
     end || I <- lists:seq(1, Tasks)],
    await(Tasks).

switch(Row, Tasks, Size) ->
    run_switch(Tasks, Size div Tasks div 10 + 1),
    report(Row, cpu_ns(fun() -> run_switch(Tasks, Size div Tasks) end) / Size, "ns").

spawn_batches(0) -> ok;
spawn_batches(Batches) ->
    Self = self(),
    [spawn(fun() -> Self ! done end) || _ <- lists:seq(1, 1000)],
    await(1000),
    spawn_batches(Batches - 1).

skynet(Parent, Base, 1) -> Parent ! {sum, Base};
skynet(Parent, Base, Size) ->
    spawn(fun() ->
        Self = self(),
        Part = Size div 10,
        [case Part of
             1 -> spawn(fun() -> Self ! {sum, Base + I} end);
             _ -> skynet(Self, Base + I * Part, Part)
         end || I <- lists:seq(0, 9)],
        Parent ! {sum, sum(10, 0)}
    end).

sum(0, Sum) -> Sum;
sum(N, Sum) -> receive {sum, Part} -> sum(N - 1, Sum + Part) end.

memory_bytes() ->
    {ok, File} = file:open("/proc/self/status", [read, raw, binary]),
    {ok, Text} = file:read(File, 65536),
    file:close(File),
    Kib = fun(Key) ->
        {match, [N]} = re:run(Text, Key ++ ":\\s+(\\d+)", [{capture, all_but_first, list}]),
        list_to_integer(N)
    end,
    (Kib("VmRSS") + Kib("VmPTE")) * 1024.

memory(Size) ->
    Self = self(),
    Before = memory_bytes(),
    {C0, _} = statistics(runtime),
    Tasks = [spawn(fun() -> receive wake -> Self ! done end end) || _ <- lists:seq(1, Size)],
    {C1, _} = statistics(runtime),
    Bytes = (memory_bytes() - Before) / Size,
    [Task ! wake || Task <- Tasks],
    await(Size),
    {C2, _} = statistics(runtime),
    io:format("memory ~.1f B create_ns=~b wake_ns=~b~n",
              [Bytes, round((C1 - C0) * 1.0e6 / Size), round((C2 - C1) * 1.0e6 / Size)]).

spread(I, Range) -> ((((I * 16#9E3779B97F4A7C15) band 16#FFFFFFFFFFFFFFFF) bsr 32) * Range) bsr 32.

start_timer(I, First, Spread) -> erlang:start_timer(First + spread(I, Spread), self(), x).

churn(N, _) when N =< 0 -> ok;
churn(N, Seed) ->
    Batch = [start_timer(Seed + I, ?CANCEL_FIRST, ?CANCEL_SPREAD) || I <- lists:seq(1, ?CANCEL_BATCH)],
    [erlang:cancel_timer(Timer) || Timer <- Batch],
    churn(N - ?CANCEL_BATCH, Seed + ?CANCEL_BATCH).

fire(Size) ->
    [start_timer(I, ?FIRE_FIRST, ?FIRE_SPREAD) || I <- lists:seq(1, Size)],
    collect(Size).

collect(0) -> ok;
collect(N) -> receive {timeout, _, x} -> collect(N - 1) end.
