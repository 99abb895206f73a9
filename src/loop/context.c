/* context.c - context variables as immutable maps behind one-word slots (context.h says how a slot is read).
 *
 * A map is a counted array of (variable, value) in the order of first setting. Setting copies it: contexts are small,
 * and are copied far more often than they are written.
 */
#include "context.h"

#include <string.h>

#include "../base/heap.h"
#include "thread.h"

struct entry {
    const cosy_contextvar *var;
    void *value;
};

struct map {
    uint32_t refs, count;
    struct entry entries[];
};

struct cosy_context {
    uint32_t refs;
    struct map *map; /* NULL: empty */
};

__thread struct cosy_thread cosy_thread_ __attribute__((tls_model("initial-exec")));
uintptr_t *(*cosy_context_of_task)(struct cosy_task *task);

static struct map *map_of(uintptr_t slot)
{
    if (slot == 0)
        return NULL;
    return slot & 1 ? (struct map *)(slot - 1) : ((struct cosy_context *)slot)->map;
}

static struct map *map_ref(struct map *map)
{
    if (map)
        map->refs++;
    return map;
}

static void map_drop(struct map *map)
{
    if (map && --map->refs == 0)
        cosy_heap_free(map);
}

uintptr_t cosy_context_slot_copy(uintptr_t slot)
{
    struct map *map = map_ref(map_of(slot));
    return map ? (uintptr_t)map | 1 : 0;
}

int cosy_context_slot_clone(uintptr_t slot, uintptr_t *ret_slot)
{
    struct map *map = map_of(slot), *copy;
    *ret_slot = 0;
    if (!map)
        return 0;
    size_t bytes = sizeof *map + map->count * sizeof(struct entry);
    copy = cosy_heap_alloc(bytes);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, map, bytes);
    copy->refs = 1;
    *ret_slot = (uintptr_t)copy | 1;
    return 0;
}

uintptr_t cosy_context_slot_share(cosy_context *context)
{
    if (!context)
        return 0;
    context->refs++;
    return (uintptr_t)context;
}

void cosy_context_slot_clear(uintptr_t *slot)
{
    uintptr_t old = *slot;
    *slot = 0;
    if (old & 1)
        map_drop((struct map *)(old - 1));
    else
        cosy_context_drop((struct cosy_context *)old);
}

uintptr_t *cosy_context_here(void)
{
    struct cosy_task *task = cosy_thread_.current;
    return task && cosy_context_of_task ? cosy_context_of_task(task) : &cosy_thread_.context;
}

static struct entry *find(struct map *map, const cosy_contextvar *var)
{
    for (uint32_t i = 0; map && i < map->count; i++)
        if (map->entries[i].var == var)
            return &map->entries[i];
    return NULL;
}

/* Puts a new map, whose one reference moves, where the slot's old one was. */
static void slot_replace_map(uintptr_t *slot, struct map *map)
{
    if (*slot != 0 && !(*slot & 1)) {
        struct cosy_context *context = (struct cosy_context *)*slot;
        map_drop(context->map);
        context->map = map;
    } else {
        map_drop(map_of(*slot));
        *slot = map ? (uintptr_t)map | 1 : 0;
    }
}

/* The map with one variable set, or without it. -ENOMEM leaves the slot as it was. */
static int slot_write(uintptr_t *slot, const cosy_contextvar *var, bool keep, void *value)
{
    struct map *old = map_of(*slot);
    uint32_t count = old ? old->count : 0, n = 0;
    struct map *map = cosy_heap_alloc(sizeof *map + (count + 1) * sizeof map->entries[0]);
    if (!map)
        return -ENOMEM;
    bool placed = false;
    for (uint32_t i = 0; i < count; i++) {
        bool same = old->entries[i].var == var;
        if (same && !keep)
            continue;
        map->entries[n++] = (struct entry){old->entries[i].var, same ? value : old->entries[i].value};
        placed |= same;
    }
    if (keep && !placed)
        map->entries[n++] = (struct entry){var, value};
    map->refs = 1;
    map->count = n;
    slot_replace_map(slot, map);
    return 0;
}

void *cosy_contextvar_get(const cosy_contextvar *var)
{
    struct entry *entry = find(map_of(*cosy_context_here()), var);
    return entry ? entry->value : var->fallback;
}

/* What a token remembers its context by: a shared context's address, else the slot's own; where callbacks follow one
 * another in one slot, their number too. Never 0. */
static uint64_t identity(uintptr_t *slot)
{
    if (*slot != 0 && !(*slot & 1))
        return (uint64_t)*slot;
    uint64_t place = (uint64_t)(uintptr_t)slot;
    return slot == &cosy_thread_.context ? (place ^ cosy_thread_.callback * UINT64_C(0x9e3779b97f4a7c15)) | 1 : place;
}

int cosy_contextvar_set(const cosy_contextvar *var, void *value, cosy_contexttoken *token)
{
    uintptr_t *slot = cosy_context_here();
    struct entry *entry = find(map_of(*slot), var);
    cosy_contexttoken before = {var, entry ? entry->value : NULL, entry != NULL, identity(slot)};
    int result = slot_write(slot, var, true, value);
    if (result == 0 && token)
        *token = before;
    return result;
}

int cosy_contextvar_reset(cosy_contexttoken *token)
{
    uintptr_t *slot = cosy_context_here();
    if (token->where != identity(slot)) /* a used one's is nobody's */
        return -EINVAL;
    int result = slot_write(slot, token->var, token->was_set, token->old);
    if (result == 0)
        token->where = 0;
    return result;
}

cosy_context *cosy_context_new(void)
{
    struct cosy_context *context = cosy_heap_zalloc(sizeof *context);
    if (context)
        context->refs = 1;
    return context;
}

cosy_context *cosy_context_copy(void)
{
    struct cosy_context *context = cosy_context_new();
    if (context)
        context->map = map_ref(map_of(*cosy_context_here()));
    return context;
}

void cosy_context_drop(cosy_context *context)
{
    if (!context || --context->refs > 0)
        return;
    map_drop(context->map);
    cosy_heap_free(context);
}

void cosy_context_run(cosy_context *context, void (*fn)(void *arg), void *arg)
{
    uintptr_t *slot = cosy_context_here(), outer = *slot;
    *slot = cosy_context_slot_share(context);
    fn(arg);
    cosy_context_slot_clear(slot);
    *slot = outer;
}
