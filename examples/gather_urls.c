/* gather_urls.c - as many calls as there are addresses: results come in the order of the addresses.
 *
 * The calls are made in a loop and gathered from an array. The slowest is asked first and answers last, yet its result
 * is the first: the order of results is that of the calls, not that of the answers.
 */
#include <cosy.h>
#include <stdio.h>

enum { COUNT = 3 };

struct page {
    char text[64];
};

cosy_async static int fetch_data(const char *url, cosy_ns delay, struct page *out)
{
    cosy_try(cosy_sleep(delay)); /* instead of a network */
    snprintf(out->text, sizeof out->text, "Data from %s", url);
    printf("(%s has answered)\n", url);
    return 0;
}

cosy_async static int amain(void)
{
    static const char *const urls[COUNT] = {"url1", "url2", "url3"};
    struct page pages[COUNT];
    cosy_coro *calls[COUNT];
    for (int i = 0; i < COUNT; i++)
        calls[i] = cosy_call(fetch_data, urls[i], COSY_MS(100 * (COUNT - i)), &pages[i]);

    cosy_try(cosy_gather_coros(calls, COUNT, NULL)); /* await asyncio.gather(*tasks) */

    for (int i = 0; i < COUNT; i++)
        puts(pages[i].text);
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * (url3 has answered)
 * (url2 has answered)
 * (url1 has answered)
 * Data from url1
 * Data from url2
 * Data from url3
 */
