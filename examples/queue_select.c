/* queue_select.c - whichever of several queues comes first: `cosy_select`, as Go's select.
 *
 * A clerk serves two queues and stops when told to. Exactly one case is done, and its index returned; of several that could
 * be done the first in the order of the arguments is, so urgent letters are served before others.
 */
#include <cosy.h>
#include <stdio.h>

struct letter {
    const char *from, *text;
};
typedef COSY_QUEUE(struct letter) letter_queue;
typedef COSY_QUEUE(int) signal_queue;

struct office {
    letter_queue urgent, usual;
    signal_queue closing; /* unbuffered: put returns when the clerk has heard */
};

cosy_async static int clerk(struct office *office)
{
    for (;;) {
        struct letter letter;
        int hour, err = 0, which = -1;
        COSY_TIMEOUT(err, COSY_MS(100)) {
            which = cosy_select(COSY_GET(&office->urgent, &letter), COSY_GET(&office->usual, &letter),
                                COSY_GET(&office->closing, &hour));
            cosy_check(err, which);
        }
        if (err == -ETIMEDOUT) {
            printf("the clerk yawns\n");
            continue;
        }
        cosy_try(err);
        if (which == 2)
            return hour;
        printf("%s letter from %s: %s\n", which == 0 ? "urgent" : "usual", letter.from, letter.text);
    }
}

cosy_async static int amain(void)
{
    struct office office;
    cosy_queue_init(&office.urgent);
    cosy_queue_init(&office.usual, .maxsize = 10);
    cosy_queue_init(&office.closing, .unbuffered = true);

    cosy_try(cosy_queue_put(&office.usual, {"Alice", "how are you?"}));
    cosy_try(cosy_queue_put(&office.usual, {"Bob", "greetings from the sea"}));
    cosy_try(cosy_queue_put(&office.urgent, {"Carol", "the boat leaks"}));

    cosy_scoped(cosy_task) task = cosy_create_task(clerk, &office);
    cosy_try(cosy_sleep(COSY_MS(150)));
    cosy_try(cosy_queue_put(&office.urgent, {"Carol", "never mind, we swim"}));
    cosy_try(cosy_queue_put(&office.closing, 5));
    printf("the clerk went home at %d\n", cosy_await(task));

    cosy_queue_destroy(&office.urgent);
    cosy_queue_destroy(&office.usual);
    cosy_queue_destroy(&office.closing);
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * urgent letter from Carol: the boat leaks
 * usual letter from Alice: how are you?
 * usual letter from Bob: greetings from the sea
 * the clerk yawns
 * urgent letter from Carol: never mind, we swim
 * the clerk went home at 5
 */
