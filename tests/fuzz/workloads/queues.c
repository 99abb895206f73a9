/* Queues of every kind, join, and the choice of several.
 *
 * Invariants: what was put is got once or still there; an error took or gave nothing; at rest nobody waits for what is
 * there; a first in first out queue keeps each producer's order; work that is done is counted.
 */
#include "../fuzz.h"

enum { ITEMS = 64, ROOM = 2 };

typedef COSY_QUEUE(int) int_queue;

struct market {
    int_queue queue, other;
    int givers, made, put, got, joined;
    bool is_put[ITEMS], is_got[ITEMS], in_order;
    int latest[CREW_MAX]; /* of each producer, as its goods came out */
    int maker[ITEMS];
    bool unbuffered;
};

static int make(struct market *market, int index)
{
    int item = market->made++;
    market->maker[item] = index;
    return item;
}

static void was_put(struct market *market, int item, int result)
{
    cosy_test_expect(result == 0 || result == -ECANCELED);
    if (result == 0) {
        market->is_put[item] = true;
        market->put++;
    }
}

static void was_got(struct market *market, int item)
{
    if (!cosy_test_expect(item >= 0 && item < market->made && !market->is_got[item]))
        return;
    market->is_got[item] = true;
    market->got++;
    int *latest = &market->latest[market->maker[item]];
    cosy_test_expect(!market->in_order || item > *latest);
    *latest = item;
}

cosy_async static int produce(struct market *market, int index)
{
    for (int i = 0; i < 4; i++) {
        cosy_try(pause_somehow());
        int item = make(market, index), result = cosy_queue_put(&market->queue, item);
        was_put(market, item, result);
        cosy_try(result);
    }
    return 0;
}

cosy_async static int consume(struct market *market)
{
    for (int i = 0; i < 4; i++) {
        cosy_try(pause_somehow());
        int item = -1, result = cosy_queue_get(&market->queue, &item);
        cosy_test_expect(result == 0 || (result == -ECANCELED && item == -1));
        cosy_try(result);
        was_got(market, item);
        cosy_test_expect(cosy_queue_task_done(&market->queue) == 0);
    }
    return 0;
}

cosy_async static int merchant(void *state, int index)
{
    struct market *market = state;
    if (index == 8) {
        cosy_try(pause_somehow());
        cosy_try(cosy_queue_join(&market->queue));
        market->joined++;
        return 0;
    }
    return gives(index, market->givers) ? produce(market, index) : consume(market);
}

static void queue_at_rest(const int_queue *queue)
{
    struct cosy_queue_statistics stats;
    cosy_queue_statistics(queue, &stats);
    cosy_test_expect(stats.size == 0 || stats.getters == 0);
    cosy_test_expect(stats.putters == 0 || (stats.maxsize > 0 && stats.size == (size_t)stats.maxsize) ||
                     (stats.maxsize <= 0 && stats.size == 0)); /* unbuffered */
    cosy_test_expect(stats.putters == 0 || stats.getters == 0);
    cosy_test_expect(stats.unfinished > 0 || stats.joiners == 0);
}

static void market_at_rest(void *state)
{
    queue_at_rest(&((struct market *)state)->queue);
}

/* What is left comes out. */
static void clear(struct market *market, int_queue *queue)
{
    for (int item; cosy_queue_get_nowait(queue, &item) == 0;)
        was_got(market, item);
}

static void settle(struct market *market)
{
    clear(market, &market->queue);
    clear(market, &market->other);
    cosy_test_expect(market->put == market->got);
    for (int i = 0; i < market->made; i++)
        cosy_test_expect(market->is_put[i] == market->is_got[i]);
    cosy_queue_destroy(&market->queue);
    cosy_queue_destroy(&market->other);
}

static void reset(struct market *market)
{
    *market = (struct market){.in_order = true, .givers = 1 + below(3)};
    for (int i = 0; i < CREW_MAX; i++)
        market->latest[i] = -1;
}

static void market_round(struct market *market)
{
    struct crew crew = {
        .member = merchant, .at_rest = market_at_rest, .state = market, .members = 9, .kills = below(5)};
    (void)cosy_test_run(crew_run, &crew);
    settle(market);
}

static int compare(const int *a, const int *b)
{
    return *a - *b;
}

static void bounded_rounds(void)
{
    struct market market;
    reset(&market);
    cosy_queue_init(&market.queue, .maxsize = 1 + below(ROOM));
    market_round(&market);
}
WORKLOAD("queue", bounded_rounds)

static void unbuffered_rounds(void)
{
    struct market market;
    reset(&market);
    market.in_order = false; /* handed over in order, but the getters go on in any */
    cosy_queue_init(&market.queue, .unbuffered = true);
    market_round(&market);
}
WORKLOAD("unbuffered", unbuffered_rounds)

static void sorted_rounds(void)
{
    struct market market;
    reset(&market);
    market.in_order = false;
    if (below(2))
        cosy_queue_init(&market.queue, .maxsize = ROOM, .compare = compare);
    else
        cosy_queue_init(&market.queue, .maxsize = below(2), .lifo = true);
    market_round(&market);
}
WORKLOAD("priority", sorted_rounds)

/* ---- select ---- */

cosy_async static int chooser(void *state, int index)
{
    struct market *market = state;
    for (int i = 0; i < 4; i++) {
        int item = -1, other = -1, mine, result;
        cosy_try(pause_somehow());
        switch (index % 4) {
        case 0: /* takes from either */
            result = cosy_select(COSY_GET(&market->queue, &item), COSY_GET(&market->other, &other));
            cosy_test_expect(result == -ECANCELED ? item == -1 && other == -1 : result == (item == -1));
            if (result >= 0)
                was_got(market, result == 0 ? item : other);
            break;
        case 1: /* gives to either */
            mine = make(market, index);
            result = cosy_select(COSY_PUT(&market->queue, mine), COSY_PUT(&market->other, mine));
            was_put(market, mine, result > 0 ? 0 : result);
            break;
        case 2: /* passes on, in one direction or the other */
            mine = make(market, index);
            result = cosy_select(COSY_GET(&market->queue, &item), COSY_PUT(&market->other, mine));
            was_put(market, mine, result == 1 ? 0 : -ECANCELED);
            if (result == 0)
                was_got(market, item);
            break;
        default:
            mine = make(market, index);
            result = cosy_queue_put(&market->other, mine);
            was_put(market, mine, result);
        }
        cosy_try(result);
    }
    return 0;
}

static void select_at_rest(void *state)
{
    struct market *market = state;
    struct cosy_queue_statistics one, two;
    cosy_queue_statistics(&market->queue, &one);
    cosy_queue_statistics(&market->other, &two);
    cosy_test_expect(one.size == 0 || one.getters == 0);
    cosy_test_expect(two.size == 0 || two.getters == 0);
    cosy_test_expect(market->unbuffered || one.maxsize <= 0 || one.size == (size_t)one.maxsize || one.putters == 0);
    cosy_test_expect(market->unbuffered || two.maxsize <= 0 || two.size == (size_t)two.maxsize || two.putters == 0);
}

static void select_rounds(void)
{
    struct market market;
    reset(&market);
    market.in_order = false;
    if ((market.unbuffered = below(2)))
        cosy_queue_init(&market.queue, .unbuffered = true);
    else
        cosy_queue_init(&market.queue, .maxsize = ROOM);
    cosy_queue_init(&market.other, .maxsize = 1);
    struct crew crew = {
        .member = chooser, .at_rest = select_at_rest, .state = &market, .members = 8, .kills = below(5)};
    (void)cosy_test_run(crew_run, &crew);
    settle(&market);
}
WORKLOAD("select", select_rounds)
