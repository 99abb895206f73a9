/* templates.h - the files of a new project. "@NAME@" stands for its name. */
#ifndef COSY_TOOL_TEMPLATES_H
#define COSY_TOOL_TEMPLATES_H

#include <stddef.h>

struct project_template {
    const char *path, *text;
};
extern const struct project_template project_templates[];
extern const size_t project_template_count;

#endif
