/* test_my_program.c - a program, and its test: on simulated time, in many orders, cancelled at every wait.
 *
 * The program sells seats. The test makes hundreds of runs in a few milliseconds; the last one is of a version with a bug that needs
 * a certain order to show, and says how to see it again. The guide is docs/testing.md.
 */
#include <cosy.h>
#include <stdio.h>

/* ---- the program ---- */

struct shop {
    int seats, sold;
};

cosy_async static int pay(void)
{
    return cosy_wait_for(cosy_call(cosy_sleep, COSY_S(20)), COSY_S(30)); /* the bank takes its time */
}

cosy_async static int buy(struct shop *shop)
{
    if (shop->seats == 0)
        return 0;
    shop->seats--;
    int paid = pay();
    if (paid < 0) { /* also when this task is cancelled: the seat goes back */
        shop->seats++;
        return paid;
    }
    shop->sold++;
    return 1;
}

cosy_async static int buy_carelessly(struct shop *shop)
{
    if (shop->seats == 0)
        return 0;
    cosy_try(pay()); /* meanwhile another one sees the same seat */
    shop->seats--;
    shop->sold++;
    return 1;
}

/* ---- the test ---- */

static void test_time(void)
{
    struct shop shop = {.seats = 1};
    struct cosy_test_report report;
    int result = cosy_test_run_with((.report = &report), buy, &shop);
    printf("buying came to %d, in %g virtual seconds, with %d wait\n", result, (double)report.time / 1e9, (int)report.waits);
}

cosy_async static int two_customers(struct shop *shop)
{
    return cosy_gather(cosy_call(buy, shop), cosy_call(buy, shop));
}

static int test_orders_and_cancels(void)
{
    int err = 0;
    COSY_TEST_EXPLORE(err, .seeds = 20, .cancel_each_wait = true) {
        struct shop shop = {.seats = 1};
        (void)cosy_test_run(two_customers, &shop);
        cosy_test_expect(shop.seats >= 0);
        cosy_test_expect(shop.seats + shop.sold == 1);
    }
    return err;
}

cosy_async static int two_careless_customers(struct shop *shop)
{
    return cosy_gather(cosy_call(buy_carelessly, shop), cosy_call(buy_carelessly, shop));
}

static int test_careless(void)
{
    int err = 0;
    COSY_TEST_EXPLORE(err, .seeds = 20) {
        struct shop shop = {.seats = 1};
        (void)cosy_test_run(two_careless_customers, &shop);
        cosy_test_expect(shop.seats >= 0);
    }
    return err;
}

int main(void)
{
    test_time();
    int rounds = test_orders_and_cancels();
    printf("orders and cancels: %s\n", rounds > 100 ? "hundreds of rounds, all well" : "failed");
    printf("careless: %s\n", test_careless() < 0 ? "failed" : "all well");
    return 0;
}

/* Output:
 * buying came to 1, in 20 virtual seconds, with 1 wait
 * orders and cancels: hundreds of rounds, all well
 * careless: failed
 * Stderr:
 * ...test_my_program.c:...: does not hold: shop.seats >= 0
 * ...exploration 'test_careless' failed in round 1, seed 0: an expectation did not hold
 * replay: COSY_TEST_NAME=test_careless COSY_TEST_SEED=0 ...
 */
