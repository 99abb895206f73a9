/* agent_state_machine.c - an agent that thinks, calls tools and waits, and changes its state under a lock.
 *
 * Two dialogues run at once with one agent. Each turn of a dialogue takes the agent through its states; the lock makes
 * a transition, with the log line that tells it, one step for everybody else, in the order in which it was asked for.
 * What a dialogue has come to lives on between its turns.
 */
#include <cosy.h>
#include <stdio.h>

enum agent_state { THINKING, TOOL_CALLING, WAITING };

static const char *const state_names[] = {"THINKING", "TOOL_CALLING", "WAITING"};

struct agent {
    enum agent_state state;
    cosy_lock state_lock; /* asyncio.Lock() */
    int transitions;
};

struct dialogue {
    const char *user;
    cosy_ns pace;
    int turns, tool_calls;
};

cosy_async static int transition(struct agent *agent, const struct dialogue *dialogue, enum agent_state new_state)
{
    int err = 0;
    COSY_LOCKED(err, &agent->state_lock) { /* async with self._state_lock: */
        enum agent_state old_state = agent->state;
        cosy_check(err, cosy_sleep(COSY_MS(1))); /* writes it down elsewhere: others could run here */
        agent->state = new_state;
        agent->transitions++;
        printf("%2d %s: %s -> %s\n", agent->transitions, dialogue->user, state_names[old_state], state_names[new_state]);
    }
    return err;
}

cosy_async static int call_tool(struct dialogue *dialogue)
{
    cosy_try(cosy_sleep(dialogue->pace));
    dialogue->tool_calls++;
    return 0;
}

cosy_async static int one_turn(struct agent *agent, struct dialogue *dialogue, bool needs_tool)
{
    cosy_try(transition(agent, dialogue, THINKING));
    cosy_try(cosy_sleep(dialogue->pace));
    if (needs_tool) {
        cosy_try(transition(agent, dialogue, TOOL_CALLING));
        cosy_try(call_tool(dialogue));
    }
    dialogue->turns++;
    return transition(agent, dialogue, WAITING);
}

cosy_async static int talk(struct agent *agent, struct dialogue *dialogue)
{
    for (int turn = 0; turn < 2; turn++)
        cosy_try(one_turn(agent, dialogue, turn == 0));
    return 0;
}

cosy_async static int amain(void)
{
    struct agent agent = {.state = WAITING};
    struct dialogue ada = {.user = "Ada", .pace = COSY_MS(40)}, bob = {.user = "Bob", .pace = COSY_MS(100)};
    cosy_try(cosy_gather(cosy_call(talk, &agent, &ada), cosy_call(talk, &agent, &bob)));
    printf("Ada: %d turns, %d tool call; Bob: %d turns, %d tool call\n", ada.turns, ada.tool_calls, bob.turns,
           bob.tool_calls);
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 *  1 Ada: WAITING -> THINKING
 *  2 Bob: THINKING -> THINKING
 * ...
 * 10 Bob: ... -> WAITING
 * Ada: 2 turns, 1 tool call; Bob: 2 turns, 1 tool call
 */
