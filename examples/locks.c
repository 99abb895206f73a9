/* locks.c - tasks that wait for each other: an evening in a small restaurant.
 *
 * An event opens the door, a semaphore is two stoves for three cooks, a barrier lets three friends sit down together, a
 * condition is the counter on which dishes appear, and a lock keeps the till right although taking money needs time.
 */
#include <cosy.h>
#include <stdio.h>

static cosy_event door;                           /* asyncio.Event() */
static cosy_semaphore stoves = COSY_SEMAPHORE(2); /* asyncio.Semaphore(2) */
static cosy_barrier table = COSY_BARRIER(3);      /* asyncio.Barrier(3) */
static cosy_condition counter;                    /* asyncio.Condition() */
static cosy_lock till;                            /* asyncio.Lock() */

static int dishes; /* on the counter */
static int money;  /* in the till */

cosy_async static int cook(const char *dish)
{
    int err = 0;
    cosy_try(cosy_event_wait(&door)); /* await door.wait() */
    COSY_LOCKED (err, &stoves) {      /* async with stoves: */
        printf("%s is on the stove\n", dish);
        cosy_check(err, cosy_sleep(COSY_MS(100)));
    }
    cosy_try(err);

    COSY_LOCKED (err, &counter) { /* async with counter: */
        printf("%s is ready\n", dish);
        dishes++;
        cosy_condition_notify(&counter, 1); /* counter.notify() */
    }
    return err;
}

cosy_async static int pay(const char *name, int amount)
{
    int err = 0;
    COSY_LOCKED (err, &till) { /* async with till: */
        int before = money;
        cosy_check(err, cosy_sleep(COSY_MS(40))); /* counting; without the lock, others would count the same money */
        money = before + amount;
        printf("%s pays\n", name);
    }
    return err;
}

cosy_async static int guest(const char *name, cosy_ns way)
{
    int err = 0;
    cosy_try(cosy_event_wait(&door));
    cosy_try(cosy_sleep(way));
    printf("%s is here\n", name);
    if (cosy_try(cosy_barrier_wait(&table)) == 2) /* await table.wait(): the last one has the highest number */
        puts("they sit down");

    COSY_LOCKED (err, &counter) {
        cosy_check(err,
                   cosy_condition_wait_until(&counter, dishes > 0)); /* await counter.wait_for(lambda: dishes > 0) */
        dishes--;
        printf("%s eats\n", name);
    }
    cosy_try(err);
    return pay(name, 12);
}

cosy_async static int evening(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, cook, "soup");
    cosy_task_group_create_task(group, cook, "pie");
    cosy_task_group_create_task(group, cook, "cake");
    cosy_task_group_create_task(group, guest, "Alice", COSY_MS(20));
    cosy_task_group_create_task(group, guest, "Bob", COSY_MS(40));
    cosy_task_group_create_task(group, guest, "Carol", COSY_MS(60));
    cosy_try(cosy_sleep(COSY_MS(10)));

    puts("the door opens");
    cosy_event_set(&door);
    cosy_try(cosy_task_group_wait(group));
    printf("%d in the till, %d dishes left\n", money, dishes);
    return 0;
}

int main(void)
{
    return cosy_main(evening);
}

/* Output:
 * the door opens
 * soup is on the stove
 * pie is on the stove
 * Alice is here
 * Bob is here
 * Carol is here
 * they sit down
 * soup is ready
 * pie is ready
 * cake is on the stove
 * Carol eats
 * Alice eats
 * Carol pays
 * Alice pays
 * cake is ready
 * Bob eats
 * Bob pays
 * 36 in the till, 0 dishes left
 */
