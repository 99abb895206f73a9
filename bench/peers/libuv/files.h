/* The rows of files (files.c). */
#pragma once

#include "../../bench.h"

bench_row uv_read_row, uv_write_row, uv_copy_large_row, uv_copy_small_row;
