/* What press.c hashes with, and how it takes byte strings from Python. */
#ifndef SAFEHOLD_HASHING_H
#define SAFEHOLD_HASHING_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

#define HASH 32
#define TEXT 44   /* base64 of a hash */
#define TURN 1024 /* things done before others may run: about a millisecond */

static EVP_MD *sha256;

typedef struct {
    const char *at;
    Py_ssize_t size;
} Piece;

/* ---- hashing, which needs no interpreter ---- */

static EVP_MD_CTX *new_hasher(void) {
    EVP_MD_CTX *hasher = EVP_MD_CTX_new();
    if (hasher != NULL && EVP_DigestInit_ex2(hasher, sha256, NULL) != 1) {
        EVP_MD_CTX_free(hasher);
        hasher = NULL;
    }
    return hasher;
}

static int hash_pieces(EVP_MD_CTX *hasher, const Piece *pieces, int count, unsigned char *out) {
    if (EVP_DigestInit_ex2(hasher, NULL, NULL) != 1) return 0;
    for (int at = 0; at < count; at++)
        if (EVP_DigestUpdate(hasher, pieces[at].at, (size_t)pieces[at].size) != 1) return 0;
    return EVP_DigestFinal_ex(hasher, out, NULL) == 1;
}

static void spell(const unsigned char *hash, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int at = 0; at < HASH; at += 3, out += 4) {
        uint32_t third = at + 2 < HASH ? hash[at + 2] : 0;
        uint32_t bits = (uint32_t)hash[at] << 16 | (uint32_t)hash[at + 1] << 8 | third;
        out[0] = digits[bits >> 18];
        out[1] = digits[bits >> 12 & 63];
        out[2] = digits[bits >> 6 & 63];
        out[3] = at + 2 < HASH ? digits[bits & 63] : '=';
    }
}

static char *put(char *to, const void *from, Py_ssize_t size) {
    memcpy(to, from, (size_t)size);
    return to + size;
}

static char *put_part(char *to, Piece part) {
    uint32_t size = (uint32_t)part.size;
    *to++ = (char)(size >> 24);
    *to++ = (char)(size >> 16);
    *to++ = (char)(size >> 8);
    *to++ = (char)size;
    return put(to, part.at, part.size);
}

/* ---- taking things from Python, and giving them ---- */

static int take_bytes(PyObject *thing, Piece *found) {
    char *at;
    if (thing == NULL || PyBytes_AsStringAndSize(thing, &at, &found->size) != 0) return 0;
    found->at = at;
    return 1;
}

static int take_item(PyObject *list, Py_ssize_t at, Piece *found) {
    return take_bytes(PyList_GetItem(list, at), found); /* the list is ours alone: see own_list */
}

/* A copy that no other thread can change; what is in it lives as long as it. */
static PyObject *own_list(PyObject *things, Py_ssize_t count) {
    PyObject *list = PySequence_List(things);
    if (list != NULL && count >= 0 && PyList_Size(list) != count) {
        PyErr_SetString(PyExc_ValueError, "lists of different lengths");
        Py_CLEAR(list);
    }
    return list;
}

static void let_others_run(void) { PyEval_RestoreThread(PyEval_SaveThread()); }

static PyObject *failed(void) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "hashing failed");
    return NULL;
}

/* A list that is filled while others run. A list with empty places must not be read, and whoever asks the collector for all
 * lists would find it: it learns of this one when it is full. */
static PyObject *new_hidden_list(Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    if (list != NULL) PyObject_GC_UnTrack(list);
    return list;
}

static PyObject *new_bytes(PyObject *list, Py_ssize_t at, Py_ssize_t size, char **to) {
    PyObject *made = PyBytes_FromStringAndSize(NULL, size);
    if (made != NULL) {
        *to = PyBytes_AsString(made);
        PyList_SetItem(list, at, made);
    }
    return made;
}

/* ---- bundles of entries ---- */

PyDoc_STRVAR(cut_doc, "cut(bundle) -> entries, each of which stood behind its length in two bytes");

static PyObject *cut(PyObject *self, PyObject *arg) {
    (void)self;
    Piece all;
    if (!take_bytes(arg, &all)) return NULL;
    const unsigned char *data = (const unsigned char *)all.at;
    PyObject *found = PyList_New(0);
    Py_ssize_t at = 0;
    while (found != NULL && all.size - at >= 2) {
        Py_ssize_t size = (Py_ssize_t)data[at] << 8 | data[at + 1];
        if (size > all.size - at - 2) break;
        PyObject *one = PyBytes_FromStringAndSize(all.at + at + 2, size);
        if (one == NULL || PyList_Append(found, one) != 0) Py_CLEAR(found);
        Py_XDECREF(one);
        at += 2 + size;
    }
    if (found != NULL && at != all.size) {
        Py_CLEAR(found);
        PyErr_SetString(PyExc_ValueError, "it ends within an entry");
    }
    return found;
}

/* ---- trees (RFC 6962) ---- */

PyDoc_STRVAR(leaf_hashes_doc, "leaf_hashes(entries) -> hashes");

static PyObject *leaf_hashes(PyObject *self, PyObject *things) {
    (void)self;
    PyObject *entries = own_list(things, -1);
    if (entries == NULL) return NULL;
    Py_ssize_t count = PyList_Size(entries);
    PyObject *hashes = new_hidden_list(count);
    EVP_MD_CTX *hasher = new_hasher();
    int good = hashes != NULL && hasher != NULL;
    for (Py_ssize_t at = 0; good && at < count; at++) {
        Piece leaf[] = {{"", 1}, {NULL, 0}};
        char *hash;
        if (at % TURN == TURN - 1) let_others_run();
        good = take_item(entries, at, &leaf[1]) && new_bytes(hashes, at, HASH, &hash) != NULL &&
               hash_pieces(hasher, leaf, 2, (unsigned char *)hash);
    }
    EVP_MD_CTX_free(hasher);
    Py_DECREF(entries);
    if (good) PyObject_GC_Track(hashes);
    if (good) return hashes;
    Py_XDECREF(hashes);
    return failed();
}

PyDoc_STRVAR(fold_doc, "fold(hashes) -> hashes of the next level, joined");

static PyObject *fold(PyObject *self, PyObject *arg) {
    (void)self;
    Piece row;
    if (!take_bytes(arg, &row)) return NULL;
    Py_ssize_t pairs = row.size / (2 * HASH);
    PyObject *made = PyBytes_FromStringAndSize(NULL, pairs * HASH);
    EVP_MD_CTX *hasher = new_hasher();
    int good = made != NULL && hasher != NULL;
    char *to = made == NULL ? NULL : PyBytes_AsString(made);
    PyThreadState *mine = good && pairs >= TURN ? PyEval_SaveThread() : NULL; /* the caller holds what is read */
    for (Py_ssize_t at = 0; good && at < pairs; at++) {
        const Piece node[] = {{"\1", 1}, {row.at + at * 2 * HASH, 2 * HASH}};
        good = hash_pieces(hasher, node, 2, (unsigned char *)to + at * HASH);
    }
    if (mine != NULL) PyEval_RestoreThread(mine);
    EVP_MD_CTX_free(hasher);
    if (good) return made;
    Py_XDECREF(made);
    return failed();
}

#endif
