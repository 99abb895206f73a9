/* Async generators: consumed to the end, left early, cancelled in the middle.
 *
 * Invariants: items come in order, none twice; the cleanup of each body that began runs once and to its end.
 */
#include "../fuzz.h"

struct spring {
    int begun, cleaned, half;
};

cosy_async static int numbers(cosy_emitter(int) * out, struct spring *spring, int count)
{
    int result = 0;
    spring->begun++;
    for (int i = 0; i < count && result >= 0; i++) {
        result = pause_somehow();
        if (result >= 0)
            result = cosy_emit(out, i);
    }
    spring->half++;
    (void)pause_somehow(); /* a cancel may end this wait, but what follows runs */
    spring->half--;
    spring->cleaned++;
    return result;
}

cosy_async static int drinker(void *state, int index)
{
    struct spring *spring = state;
    for (int round = 0; round < 2; round++) {
        int err = 0, next = 0, leave = below(8);
        COSY_FOR(int, x, err, cosy_agen(numbers, spring, 4))
        {
            cosy_test_expect(x == next);
            next++;
            if (x == leave)
                break;
            cosy_check(err, pause_somehow());
        }
        cosy_test_expect(err == 0 || err == -ECANCELED);
        cosy_test_expect(err != 0 || next == (leave < 4 ? leave + 1 : 4));
        cosy_try(err);
    }
    (void)index;
    return 0;
}

static void spring_rounds(void)
{
    struct spring spring = {0};
    struct crew crew = {.member = drinker, .state = &spring, .members = 4, .kills = below(4)};
    (void)cosy_test_run(crew_run, &crew);
    cosy_test_expect(spring.begun == spring.cleaned && spring.half == 0);
}
WORKLOAD("generators", spring_rounds)
