/* Leaves, their side-cars and their hashes, many in one call: what press.py does, in C.
 *
 * Every byte is the one that press.py writes; a test compares them. SHA-256 is OpenSSL's. No key comes here: side-cars are
 * sealed by the vault. What this takes from Python it checks by type and length before it is read; the threads of others
 * run while it hashes, so it holds a reference to everything it reads, and nobody else sees what it writes until it is done.
 */
#include "hashing.h"

#define VERSION 2      /* press.py takes no other */
#define BLINDS 96      /* three blinding values */
#define MANY 64        /* leaves; below, letting others run costs more than it gives */
#define LONGEST 4096   /* bytes of an actor or an object */
#define LARGE (1 << 20) /* bytes of a detail */
#define PEOPLE 16      /* no nonce, no items, no padding, no handles */

static PyObject *name_kind, *name_actor, *name_object, *name_detail, *name_segment, *name_charter, *name_subjects,
    *name_public, *name_ref, *name_key;

/* ---- draft ---- */

typedef struct {
    PyObject *actor, *object, *detail, *public, *key; /* owned, so that what is read stays */
    Piece act, obj, det, pub, idem, behind_act, behind_det, behind_obj;
    char *head, *middle, *secret;
} Draft;

/* What checks and spells, from Python. */
typedef struct {
    PyObject *spell, *encode, *frame, *facts, *more, *text, *detail;
} Checks;

/* The newest public facts, owned. */
typedef struct {
    PyObject *kind, *spelt, *text;
} Seen;

static void forget(Seen *seen) {
    Py_XDECREF(seen->kind);
    Py_XDECREF(seen->spelt);
    Py_XDECREF(seen->text);
}

static void let_go(Draft *one) {
    PyObject *held[] = {one->actor, one->object, one->detail, one->public, one->key};
    for (size_t at = 0; at < sizeof held / sizeof *held; at++) Py_XDECREF(held[at]);
}

/* A text of an entry as UTF-8. What is none, or too long, press.py's own check names. */
static int take_text(PyObject *entry, PyObject *name, PyObject *complain, PyObject **held, Piece *found) {
    *held = PyObject_GetAttr(entry, name);
    if (*held == NULL) return 0;
    if (PyUnicode_Check(*held)) {
        found->at = PyUnicode_AsUTF8AndSize(*held, &found->size);
        if (found->at != NULL && found->size <= LONGEST) return 1;
        PyErr_Clear();
    }
    Py_XDECREF(PyObject_CallFunctionObjArgs(complain, *held, name, NULL));
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "not a text");
    return 0;
}

/* A detail of ASCII keys and of texts and whole numbers, as nearly all are; what is none gives nothing, and no error. */
static PyObject *spell_plainly(PyObject *encode, PyObject *said) {
    PyObject *name, *value;
    Py_ssize_t at = 0, size;
    if (!PyDict_CheckExact(said)) return NULL;
    while (PyDict_Next(said, &at, &name, &value)) {
        if (!PyUnicode_CheckExact(name) || !(PyUnicode_CheckExact(value) || PyLong_CheckExact(value))) return NULL;
        if (PyUnicode_AsUTF8AndSize(name, &size) == NULL) break;
        if (size != PyUnicode_GetLength(name)) return NULL;
    }
    PyObject *data = PyErr_Occurred() ? NULL : PyObject_CallFunctionObjArgs(encode, said, NULL);
    PyErr_Clear();
    if (data == NULL || (PyBytes_Check(data) && PyBytes_Size(data) <= LARGE)) return data;
    Py_DECREF(data);
    return NULL;
}

/* Whether there is more to an entry than texts: 1, 0, or -1 with an error. */
static int is_more(PyObject *entry, PyObject *special) {
    PyObject *ref = PyObject_GetAttr(entry, name_ref);
    if (ref == NULL) return -1;
    int more = ref != Py_None ? 1 : PyObject_IsTrue(special);
    Py_DECREF(ref);
    PyObject *names[] = {name_key, name_subjects};
    for (int at = 0; at < 2 && more == 0; at++) {
        PyObject *value = PyObject_GetAttr(entry, names[at]);
        if (value == NULL) return -1;
        more = PyObject_IsTrue(value);
        Py_DECREF(value);
    }
    return more;
}

/* Public facts as they stand in a leaf: those of the entry before are asked for once. */
static PyObject *check_public(const Checks *checks, Seen *seen, PyObject *kind, PyObject *said) {
    PyObject *text = NULL, *spelt = PyObject_CallFunctionObjArgs(checks->spell, said, NULL);
    if (spelt == NULL) PyErr_Clear(); /* the check says what is wrong */
    if (spelt != NULL && seen->text != NULL && kind == seen->kind && PyObject_RichCompareBool(spelt, seen->spelt, Py_EQ) == 1)
        text = Py_NewRef(seen->text);
    else
        text = PyObject_CallFunctionObjArgs(checks->facts, kind, said, NULL);
    if (text != NULL && spelt != NULL && text != seen->text) {
        forget(seen);
        *seen = (Seen){Py_NewRef(kind), Py_NewRef(spelt), Py_NewRef(text)};
    }
    Py_XDECREF(spelt);
    return text;
}

/* Public facts and key of an entry, as they stand in leaf and side-car. */
static int take_facts(PyObject *entry, Py_ssize_t number, PyObject *kind, PyObject *special, const Checks *checks,
                      Seen *seen, Draft *one) {
    int odd = is_more(entry, special);
    if (odd < 0) return 0;
    one->pub = one->idem = (Piece){"", 0};
    if (odd) {
        PyObject *both = PyObject_CallFunction(checks->more, "nO", number, entry);
        if (both == NULL) return 0;
        if (PyTuple_Check(both) && PyTuple_Size(both) == 2) {
            one->public = Py_NewRef(PyTuple_GetItem(both, 0));
            one->key = Py_NewRef(PyTuple_GetItem(both, 1));
        }
        Py_DECREF(both);
        if (one->key == NULL) {
            PyErr_SetString(PyExc_TypeError, "not two byte strings");
            return 0;
        }
        return take_bytes(one->public, &one->pub) && take_bytes(one->key, &one->idem);
    }
    PyObject *said = PyObject_GetAttr(entry, name_public);
    int some = said == NULL ? -1 : PyObject_IsTrue(said);
    if (some == 1) one->public = check_public(checks, seen, kind, said);
    Py_XDECREF(said);
    return some == 0 || (some == 1 && take_bytes(one->public, &one->pub));
}

static void write_draft(const Draft *one, const char *blinds, const char *act, const char *obj, const char *det) {
    char *to = put(one->head, "{\"act\":\"", 8);
    put(put(to, act, TEXT), one->behind_act.at, one->behind_act.size);
    to = put(one->middle, "\",\"det\":\"", 9);
    to = put(put(to, det, TEXT), one->behind_det.at, one->behind_det.size);
    to = put(put(to, obj, TEXT), "\"", 1);
    put(put(to, one->pub.at, one->pub.size), one->behind_obj.at, one->behind_obj.size);
    *one->secret = 2; /* version of the plain text */
    to = put_part(one->secret + 1, (Piece){blinds, BLINDS});
    to = put_part(put_part(put_part(put_part(to, one->idem), one->act), one->obj), one->det);
    memset(to, 0, PEOPLE);
}

static int commit_draft(EVP_MD_CTX *hasher, const Draft *one, const char *blinds) {
    static const char *const marks[] = {"sh/commit/v1/act", "sh/commit/v1/obj", "sh/commit/v1/det"};
    const Piece values[] = {one->act, one->obj, one->det};
    unsigned char hash[HASH];
    char texts[3][TEXT];
    for (int field = 0; field < 3; field++) {
        const Piece said[] = {{blinds + field * HASH, HASH}, {marks[field], 17}, values[field]}; /* with its 0 */
        if (!hash_pieces(hasher, said, 3, hash)) return 0;
        spell(hash, texts[field]);
    }
    write_draft(one, blinds, texts[0], texts[1], texts[2]);
    return 1;
}

/* One entry. What came of it is let go at once: kept for all of them it would scatter the heap. */
static int draft_one(PyObject *entry, Py_ssize_t at, PyObject *frame, const Checks *checks, Seen *seen,
                     PyObject *const *columns, EVP_MD_CTX *hasher, const char *blinds) {
    Draft one = {0};
    int good = take_bytes(PyTuple_GetItem(frame, 0), &one.behind_act) &&
               take_bytes(PyTuple_GetItem(frame, 1), &one.behind_det) &&
               take_bytes(PyTuple_GetItem(frame, 2), &one.behind_obj) &&
               take_facts(entry, at, PyList_GetItem(columns[0], at), PyTuple_GetItem(frame, 3), checks, seen, &one) &&
               take_text(entry, name_actor, checks->text, &one.actor, &one.act) &&
               take_text(entry, name_object, checks->text, &one.object, &one.obj);
    PyObject *value = good ? PyObject_GetAttr(entry, name_detail) : NULL;
    if (value != NULL) one.detail = spell_plainly(checks->encode, value);
    if (value != NULL && one.detail == NULL) one.detail = PyObject_CallFunctionObjArgs(checks->detail, value, NULL);
    Py_XDECREF(value);
    good = good && take_bytes(one.detail, &one.det) && one.det.size <= INT32_MAX && one.idem.size <= INT32_MAX;
    if (good) {
        Py_ssize_t parts = one.idem.size + one.act.size + one.obj.size + one.det.size;
        Py_ssize_t about = one.behind_det.size + one.pub.size + one.behind_obj.size;
        good = new_bytes(columns[2], at, 8 + TEXT + one.behind_act.size, &one.head) != NULL &&
               new_bytes(columns[3], at, 10 + 2 * TEXT + about, &one.middle) != NULL &&
               new_bytes(columns[4], at, 1 + 5 * 4 + BLINDS + parts + PEOPLE, &one.secret) != NULL &&
               commit_draft(hasher, &one, blinds);
    }
    let_go(&one);
    return good;
}

PyDoc_STRVAR(draft_doc, "draft(entries, noise, spell, encode, frame, facts, more, text, detail) -> kinds, segments, heads, middles, secrets");

static PyObject *draft(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *things, *noise, *columns[5] = {NULL};
    Checks checks;
    Seen seen = {NULL, NULL, NULL};
    if (!PyArg_ParseTuple(args, "OSOOOOOOO", &things, &noise, &checks.spell, &checks.encode, &checks.frame, &checks.facts,
                          &checks.more, &checks.text, &checks.detail))
        return NULL;
    PyObject *entries = own_list(things, -1);
    if (entries == NULL) return NULL;
    Py_ssize_t count = PyList_Size(entries);
    EVP_MD_CTX *hasher = new_hasher();
    int good = hasher != NULL;
    if (PyBytes_Size(noise) / BLINDS != count || PyBytes_Size(noise) % BLINDS != 0) {
        PyErr_SetString(PyExc_ValueError, "not 96 bytes of noise an entry");
        good = 0;
    }
    for (int at = 0; good && at < 5; at++) good = (columns[at] = new_hidden_list(count)) != NULL;
    PyObject *frame = NULL, *last[3] = {NULL}; /* of the entry before; most are like it */
    for (Py_ssize_t at = 0; good && at < count; at++) {
        PyObject *entry = PyList_GetItem(entries, at);
        PyObject *now[] = {PyObject_GetAttr(entry, name_kind), NULL, NULL};
        if (now[0] != NULL) now[1] = PyObject_GetAttr(entry, name_segment);
        if (now[1] != NULL) now[2] = PyObject_GetAttr(entry, name_charter);
        good = now[2] != NULL;
        if (good && (frame == NULL || memcmp(now, last, sizeof now) != 0)) {
            Py_XDECREF(frame);
            frame = PyObject_CallFunctionObjArgs(checks.frame, now[0], now[1], now[2], NULL);
            good = frame != NULL && PyTuple_Check(frame) && PyTuple_Size(frame) == 4;
        }
        for (int field = 0; field < 3; field++) {
            Py_XDECREF(last[field]);
            last[field] = now[field];
        }
        if (at % TURN == TURN - 1) let_others_run();
        if (good) {
            PyList_SetItem(columns[0], at, Py_NewRef(now[0]));
            PyList_SetItem(columns[1], at, Py_NewRef(now[1]));
            good = draft_one(entry, at, frame, &checks, &seen, columns, hasher,
                             PyBytes_AsString(noise) + at * BLINDS);
        }
    }
    forget(&seen);
    Py_XDECREF(frame);
    for (int field = 0; field < 3; field++) Py_XDECREF(last[field]);
    EVP_MD_CTX_free(hasher);
    Py_DECREF(entries);
    for (int at = 0; good && at < 5; at++) PyObject_GC_Track(columns[at]);
    if (good) return Py_BuildValue("NNNNN", columns[0], columns[1], columns[2], columns[3], columns[4]);
    for (int at = 0; at < 5; at++) Py_XDECREF(columns[at]);
    return failed();
}

/* ---- bind ---- */

PyDoc_STRVAR(bind_doc, "bind(mark, heads, middles, tail) -> rests, bound");

static PyObject *bind(PyObject *self, PyObject *args) {
    (void)self;
    Piece mark, tail, head, middle;
    PyObject *heads, *middles;
    if (!PyArg_ParseTuple(args, "y#O!O!y#", &mark.at, &mark.size, &PyList_Type, &heads, &PyList_Type, &middles, &tail.at,
                          &tail.size))
        return NULL;
    Py_ssize_t count = PyList_Size(heads);
    if (PyList_Size(middles) != count) return PyErr_Format(PyExc_ValueError, "lists of different lengths");
    PyObject *rests = PyList_New(count), *bound = PyList_New(count);
    int good = rests != NULL && bound != NULL;
    for (Py_ssize_t at = 0; good && at < count; at++) {
        char *rest, *whole;
        good = take_item(heads, at, &head) && take_item(middles, at, &middle) &&
               new_bytes(rests, at, middle.size + tail.size, &rest) != NULL &&
               new_bytes(bound, at, mark.size + head.size + middle.size + tail.size, &whole) != NULL;
        if (good) {
            put(put(rest, middle.at, middle.size), tail.at, tail.size);
            whole = put(put(whole, mark.at, mark.size), head.at, head.size);
            put(whole, rest, middle.size + tail.size);
        }
    }
    if (good) return Py_BuildValue("NN", rests, bound);
    Py_XDECREF(rests);
    Py_XDECREF(bound);
    return failed();
}

/* ---- finish ---- */

typedef struct {
    Piece head, sealed, rest;
    char *leaf, *hash;
} Finish;

static int finish_leaves(const Finish *leaves, Py_ssize_t count) {
    EVP_MD_CTX *hasher = new_hasher();
    int good = hasher != NULL;
    for (Py_ssize_t at = 0; good && at < count; at++) {
        const Finish *one = leaves + at;
        unsigned char hash[HASH];
        good = hash_pieces(hasher, &one->sealed, 1, hash);
        if (!good) break;
        char *to = put(one->leaf, one->head.at, one->head.size);
        spell(hash, to);
        put(to + TEXT, one->rest.at, one->rest.size);
        const Piece leaf[] = {{"", 1}, {one->leaf, one->head.size + TEXT + one->rest.size}}; /* behind a 0 */
        good = hash_pieces(hasher, leaf, 2, (unsigned char *)one->hash);
    }
    EVP_MD_CTX_free(hasher);
    return good;
}

PyDoc_STRVAR(finish_doc, "finish(heads, sealed, rests) -> leaves, hashes");

static PyObject *finish(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *things[3], *lists[3] = {NULL}, *leaves = NULL, *hashes = NULL;
    if (!PyArg_ParseTuple(args, "OOO", &things[0], &things[1], &things[2])) return NULL;
    Py_ssize_t count = PySequence_Size(things[0]);
    int good = count >= 0;
    for (int at = 0; good && at < 3; at++) good = (lists[at] = own_list(things[at], count)) != NULL;
    Finish *parts = good ? PyMem_Calloc(count ? (size_t)count : 1, sizeof(Finish)) : NULL;
    good = good && parts != NULL && (leaves = PyList_New(count)) != NULL && (hashes = PyList_New(count)) != NULL;
    for (Py_ssize_t at = 0; good && at < count; at++) {
        Finish *one = parts + at;
        good = take_item(lists[0], at, &one->head) && take_item(lists[1], at, &one->sealed) &&
               take_item(lists[2], at, &one->rest) &&
               new_bytes(leaves, at, one->head.size + TEXT + one->rest.size, &one->leaf) != NULL &&
               new_bytes(hashes, at, HASH, &one->hash) != NULL;
    }
    if (good) {
        PyThreadState *mine = count >= MANY ? PyEval_SaveThread() : NULL;
        good = finish_leaves(parts, count);
        if (mine != NULL) PyEval_RestoreThread(mine);
    }
    PyMem_Free(parts);
    for (int at = 0; at < 3; at++) Py_XDECREF(lists[at]);
    if (good) return Py_BuildValue("NN", leaves, hashes);
    Py_XDECREF(leaves);
    Py_XDECREF(hashes);
    return failed();
}

/* ---- pack ---- */

PyDoc_STRVAR(pack_doc, "pack(things, width) -> each behind its length in so many bytes, joined");

static PyObject *pack(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *things;
    Piece one;
    int width;
    Py_ssize_t whole = 0;
    if (!PyArg_ParseTuple(args, "O!i", &PyList_Type, &things, &width)) return NULL;
    if (width < 1 || width > 4) return PyErr_Format(PyExc_ValueError, "a length has 1 to 4 bytes");
    Py_ssize_t count = PyList_Size(things);
    for (Py_ssize_t at = 0; at < count; at++) {
        if (!take_item(things, at, &one)) return NULL;
        if ((uint64_t)one.size >> 8 * width) return PyErr_Format(PyExc_OverflowError, "longer than its length can say");
        if (one.size > PY_SSIZE_T_MAX - width - whole) return PyErr_NoMemory(); /* one thing may stand in it many times */
        whole += one.size + width;
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, whole);
    char *to = made == NULL ? NULL : PyBytes_AsString(made);
    for (Py_ssize_t at = 0; made != NULL && at < count; at++) { /* nobody else ran since they were counted */
        take_item(things, at, &one);
        for (int byte = width - 1; byte >= 0; byte--) *to++ = (char)((uint64_t)one.size >> 8 * byte);
        to = put(to, one.at, one.size);
    }
    return made;
}

/* ---- the module ---- */

static PyMethodDef methods[] = {
    {"draft", draft, METH_VARARGS, draft_doc},   {"bind", bind, METH_VARARGS, bind_doc},
    {"finish", finish, METH_VARARGS, finish_doc}, {"leaf_hashes", leaf_hashes, METH_O, leaf_hashes_doc},
    {"fold", fold, METH_O, fold_doc},             {"pack", pack, METH_VARARGS, pack_doc},
    {"cut", cut, METH_O, cut_doc},                {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_press", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__press(void) {
    struct {
        PyObject **to;
        const char *text;
    } names[] = {
        {&name_kind, "kind"},         {&name_actor, "actor"},   {&name_object, "object"}, {&name_detail, "detail"},
        {&name_segment, "segment"},   {&name_charter, "charter"}, {&name_public, "public"}, {&name_ref, "ref"},
        {&name_subjects, "subjects"}, {&name_key, "key"},
    };
    for (size_t at = 0; at < sizeof names / sizeof *names; at++)
        if ((*names[at].to = PyUnicode_InternFromString(names[at].text)) == NULL) return NULL;
    if ((sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL) {
        PyErr_SetString(PyExc_ImportError, "OpenSSL has no SHA-256");
        return NULL;
    }
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddIntConstant(made, "VERSION", VERSION) != 0) Py_CLEAR(made);
    return made;
}
