/* What this machine can do: heavy ball on one objective, written by hand.

   Compiled for one objective (sphere, qfsp, rosenbrock, ackley, rastrigin), one DIM and one
   precision. LANES cells go side by side; every loop over lanes becomes vector instructions. A lane
   whose cell has stopped is given the next cell once enough of them are idle. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef DOUBLE
typedef double real;
typedef int64_t word;
#define REAL(x) x
#define SQRT sqrt
#define FABS fabs
#define FMA fma
#define MANTISSA 52
#define BIAS 1023
#else
typedef float real;
typedef int32_t word;
#define REAL(x) x##f
#define SQRT sqrtf
#define FABS fabsf
#define FMA fmaf
#define MANTISSA 23
#define BIAS 127
#endif

#ifndef LANES
#define LANES 128
#endif
#define BLOCK 16384 /* cells that a thread takes at a time */
#define EACH_LANE _Pragma("GCC ivdep") for (int l = 0; l < LANES; l++)
#define EACH_AXIS _Pragma("GCC unroll 16") for (int d = 0; d < DIM; d++)

enum { CONVERGED, STALLED, DIVERGED, NONFINITE, MAX_STEPS, RUNNING = -1 };

static inline word bits(real x) { word i; memcpy(&i, &x, sizeof i); return i; }
static inline real number(word i) { real x; memcpy(&x, &i, sizeof x); return x; }

/* MAGIC, HALF_PI, LN2 and the coefficients come from the command line, as braced lists: they are
   those of gdjax's own polynomials. Arguments stay far below where their reduction fails. */
static const real half_pi[] = HALF_PI, ln2[] = LN2;
static const real sine[] = SINE, cosine[] = COSINE, exponential[] = EXPONENTIAL;
#define TERMS(a) (int)(sizeof a / sizeof a[0])

static inline real horner(const real *c, int n, real x) {
    real y = c[n - 1];
    _Pragma("GCC unroll 16") for (int i = n - 2; i >= 0; i--) y = FMA(y, x, c[i]);
    return y;
}

static inline void sincos_(real x, real *s, real *c) {
    real shifted = FMA(x, (real)(2 / M_PI), (real)MAGIC), n = shifted - (real)MAGIC, r = x;
    word q = bits(shifted);
    _Pragma("GCC unroll 3") for (int i = 0; i < 3; i++) r = FMA(n, -half_pi[i], r);
    real z = r * r;
    real sn = FMA(z * r, horner(sine, TERMS(sine), z), r);
    real cs = FMA(z * z, horner(cosine, TERMS(cosine), z), FMA(z, (real)-0.5, (real)1));
    word odd = -(q & 1), a = bits(sn), b = bits(cs), swap = (a ^ b) & odd;
    *s = number((a ^ swap) ^ ((q & 2) << (8 * sizeof(word) - 2)));
    *c = number((b ^ swap) ^ (((q + 1) & 2) << (8 * sizeof(word) - 2)));
}

static inline real exp_(real x) { /* for x <= 1; below the smallest normal number it is 0 */
    x = x > (real)(-BIAS * 0.69) ? x : (real)(-BIAS * 0.69);
    real shifted = FMA(x, (real)(1 / M_LN2), (real)MAGIC), n = shifted - (real)MAGIC, r = x;
    r = FMA(n, -ln2[0], r);
    r = FMA(n, -ln2[1], r);
    real y = FMA(r * r, horner(exponential, TERMS(exponential), r), r) + (real)1;
    return y * number((bits(shifted) - bits((real)MAGIC) + BIAS) << MANTISSA);
}

/* The value, and the gradient into g. */
static inline real sphere(const real *x, real *g) {
    real f = 0;
    EACH_AXIS { f += x[d] * x[d]; g[d] = 2 * x[d]; }
    return f;
}

static inline real qfsp(const real *x, real *g) {
    real sx, cx, sy, cy;
    sincos_(x[0], &sx, &cx);
    sincos_(x[1], &sy, &cy);
    g[0] = 2 * x[0] + 10 * cx * sy;
    g[1] = 2 * x[1] + 10 * sx * cy;
    return x[0] * x[0] + x[1] * x[1] + 10 * sx * sy;
}

static inline real rosenbrock(const real *x, real *g) {
    real f = 0, carried = 0;
    _Pragma("GCC unroll 16") for (int d = 0; d < DIM - 1; d++) {
        real gap = x[d + 1] - x[d] * x[d], off = 1 - x[d];
        f += 100 * gap * gap + off * off;
        g[d] = carried - 400 * x[d] * gap - 2 * off;
        carried = 200 * gap;
    }
    g[DIM - 1] = carried;
    return f;
}

static inline real ackley(const real *x, real *g) {
    real square = 0, waves = 0, s[DIM], c;
    EACH_AXIS {
        sincos_((real)(2 * M_PI) * x[d], &s[d], &c);
        square += x[d] * x[d];
        waves += c;
    }
    real r = SQRT(square / DIM), tip = exp_((real)-0.2 * r), pits = exp_(waves / DIM);
    real slope = r > 0 ? (real)(4.0 / DIM) * tip / r : 0, ripple = (real)(2 * M_PI / DIM) * pits;
    EACH_AXIS g[d] = slope * x[d] + ripple * s[d];
    return (real)(20 + M_E) - 20 * tip - pits;
}

static inline real rastrigin(const real *x, real *g) {
    real f = 10 * DIM, s, c;
    EACH_AXIS {
        sincos_((real)(2 * M_PI) * x[d], &s, &c);
        f += x[d] * x[d] - 10 * c;
        g[d] = 2 * x[d] + (real)(20 * M_PI) * s;
    }
    return f;
}

typedef struct { /* what one descent is asked for, and the rule that ends it */
    real learning_rate, momentum, within, gradient, step, radius, bound;
    const real *centre, *width, *minima, *levels; /* the values that count as a minimum's */
    int64_t known;
    int32_t steps, stop, stride; /* rest is looked for after every stride */
} task;

typedef struct { /* what is kept of every cell */
    real *final_point, *final_value, *best_value;
    int32_t *first_step, *steps, *evaluations;
    int8_t *outcome;
    int16_t *minimum;
} summary;

typedef struct {
    real x[2][DIM][LANES], v[DIM][LANES]; /* the points now and next, in turn */
    real f[LANES], square[LANES], best[LANES], flat[LANES];
    word first[LANES], begun[LANES], event[LANES], running[LANES], fresh[LANES];
    int64_t cell[LANES];
} __attribute__((aligned(64))) lanes;

static void keep(lanes *w, int now, int l, int32_t k, int code, const task *t, const summary *out) {
    int64_t i = w->cell[l], nearest = -1;
    real least = INFINITY;
    for (int64_t m = 0; m < t->known; m++) {
        real far = 0;
        for (int d = 0; d < DIM && far <= t->radius; d++) {
            real gap = FABS(w->x[now][d][l] - t->minima[m * DIM + d]) / t->width[d];
            far = gap <= far ? far : gap;
        }
        if (far <= t->radius && far < least && w->f[l] <= t->levels[m]) { least = far; nearest = m; }
    }
    for (int d = 0; d < DIM; d++) out->final_point[i * DIM + d] = w->x[now][d][l];
    out->final_value[i] = w->f[l];
    out->best_value[i] = w->best[l];
    out->first_step[i] = w->first[l];
    out->steps[i] = k - w->begun[l];
    out->evaluations[i] = k - w->begun[l] + 1;
    out->outcome[i] = code == STALLED && nearest >= 0 ? CONVERGED : code;
    out->minimum[i] = nearest;
}

/* What becomes of a lane that something happened to; a cell at rest counts as stalled here. */
static int judge(const lanes *w, int now, int l, int32_t k, const task *t) {
    int away = 0, broken = !(FABS(w->f[l]) < INFINITY), small = 1;
    for (int d = 0; d < DIM; d++) {
        real x = w->x[now][d][l], move = w->x[!now][d][l] - x;
        away |= FABS(x - t->centre[d]) > t->bound * t->width[d];
        broken |= x != x;
        small &= FABS(move) <= t->step * t->width[d];
    }
    int last = k - w->begun[l] >= t->steps;
    int rest = k % t->stride == 0 && small && w->square[l] <= w->flat[l];
    if (away) return DIVERGED;
    if (broken) return NONFINITE;
    if (rest && (last || t->stop)) return STALLED;
    return last ? MAX_STEPS : RUNNING;
}

static inline real evaluate(const lanes *w, int now, int l, real *x, real *g, real *square) {
    EACH_AXIS x[d] = w->x[now][d][l];
    real f = OBJECTIVE(x, g);
    *square = 0;
    EACH_AXIS *square += g[d] * g[d];
    return f;
}

/* Look at where the cells are, and move them on; whether anything happened to one of them. */
static inline word advance(lanes *w, int now, int32_t k, const task *t, const int judged) {
    word any = 0;
    real edge[DIM], centre[DIM];
    EACH_AXIS { edge[d] = t->bound * t->width[d]; centre[d] = t->centre[d]; }
    const real within = t->within, momentum = t->momentum, rate = t->learning_rate;
    EACH_LANE {
        real x[DIM], g[DIM], square, f = evaluate(w, now, l, x, g, &square);
        _Bool happens = !(FABS(f) < (real)INFINITY);
        EACH_AXIS happens |= FABS(x[d] - centre[d]) > edge[d];
        if (judged) happens |= square <= w->flat[l]; /* whether the move is small too: see judge */
        word event = happens ? w->running[l] : 0;
        any |= event;
        w->event[l] = event;
        w->f[l] = f;
        if (judged) w->square[l] = square;
        w->best[l] = f < w->best[l] ? f : w->best[l];
        word reached = f <= within && w->first[l] < 0;
        w->first[l] = reached ? k - w->begun[l] : w->first[l];
        EACH_AXIS {
            real v = momentum * w->v[d][l] - rate * g[d];
            w->v[d][l] = v;
            w->x[!now][d][l] = x[d] + v;
        }
    }
    return any;
}

static void block(const real *starts, int64_t from, int64_t to, const task *t, const summary *out) {
    static _Thread_local lanes w;
    int64_t following = from;
    int now = 0, alive = 0, idle = LANES;
    int32_t k = 0, horizon = 0;
    for (int l = 0; l < LANES; l++) w.running[l] = 0;
    for (;;) {
        int judged = k % t->stride == 0;
        if (judged && idle * 8 >= LANES && (following < to || !alive)) { /* new cells for idle lanes */
            if (following >= to && !alive) return;
            for (int l = 0; l < LANES; l++) {
                w.fresh[l] = 0;
                if (w.running[l]) continue;
                w.cell[l] = following < to ? following++ : -1;
                w.fresh[l] = -1;
                if (w.cell[l] >= 0) { w.running[l] = -1; alive++; idle--; }
                const real *start = starts + DIM * (w.cell[l] >= 0 ? w.cell[l] : from);
                for (int d = 0; d < DIM; d++) { w.x[now][d][l] = start[d]; w.v[d][l] = 0; }
                w.begun[l] = k;
            }
            EACH_LANE {
                real x[DIM], g[DIM], square;
                evaluate(&w, now, l, x, g, &square);
                real flat = t->gradient * (1 + SQRT(square));
                w.flat[l] = w.fresh[l] ? flat * flat : w.flat[l];
                w.best[l] = w.fresh[l] ? (real)INFINITY : w.best[l];
                w.first[l] = w.fresh[l] ? -1 : w.first[l];
            }
            horizon = INT32_MAX;
            for (int l = 0; l < LANES; l++)
                if (w.running[l] && w.begun[l] + t->steps < horizon) horizon = w.begun[l] + t->steps;
        }
        word any = judged ? advance(&w, now, k, t, 1) : advance(&w, now, k, t, 0);
        if (any || k == horizon) {
            horizon = INT32_MAX;
            for (int l = 0; l < LANES; l++) {
                if (!w.running[l]) continue;
                int32_t end = w.begun[l] + t->steps;
                if (w.event[l] || k == end) {
                    int code = w.event[l] ? judge(&w, now, l, k, t) : MAX_STEPS;
                    if (code != RUNNING) {
                        keep(&w, now, l, k, code, t, out);
                        w.running[l] = 0;
                        alive--, idle++;
                        continue;
                    }
                }
                if (end < horizon) horizon = end;
            }
        }
        now = !now;
        k++;
    }
}

void sweep(const real *starts, int64_t cells, const task *t, const summary *out, int threads) {
    _Pragma("omp parallel for schedule(dynamic) num_threads(threads)")
    for (int64_t from = 0; from < cells; from += BLOCK)
        block(starts, from, from + BLOCK < cells ? from + BLOCK : cells, t, out);
}

/* The recurrence alone: all steps, the last point and its value. */
static void recur(const real *starts, int64_t from, int count, const task *t, const summary *out) {
    real x[DIM][LANES] __attribute__((aligned(64))), v[DIM][LANES] __attribute__((aligned(64)));
    real f[LANES];
    const real momentum = t->momentum, rate = t->learning_rate;
    for (int l = 0; l < LANES; l++)
        for (int d = 0; d < DIM; d++) {
            x[d][l] = starts[DIM * (from + (l < count ? l : 0)) + d];
            v[d][l] = 0;
        }
    for (int32_t k = 0; k < t->steps; k++) EACH_LANE {
        real p[DIM], g[DIM];
        EACH_AXIS p[d] = x[d][l];
        OBJECTIVE(p, g);
        EACH_AXIS {
            v[d][l] = momentum * v[d][l] - rate * g[d];
            x[d][l] = p[d] + v[d][l];
        }
    }
    EACH_LANE {
        real p[DIM], g[DIM];
        EACH_AXIS p[d] = x[d][l];
        f[l] = OBJECTIVE(p, g);
    }
    for (int l = 0; l < count; l++) {
        for (int d = 0; d < DIM; d++) out->final_point[(from + l) * DIM + d] = x[d][l];
        out->final_value[from + l] = f[l];
    }
}

void bare(const real *starts, int64_t cells, const task *t, const summary *out, int threads) {
    _Pragma("omp parallel for schedule(static) num_threads(threads)")
    for (int64_t from = 0; from < cells; from += LANES)
        recur(starts, from, cells - from < LANES ? cells - from : LANES, t, out);
}
