/* Many side-cars sealed in one call with AES-256-GCM of OpenSSL: what keys.Series does one by one.
 *
 * Every byte is the one that the other way writes; a test compares them, and cryptography opens what this seals. Which
 * numbers are used, and under which key, the caller decides; a pair of the two never comes twice.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

#define VERSION 2 /* keys.py takes no other */
#define KEY 32
#define NONCE 12
#define TAG 16
#define MANY 64         /* below, letting others run costs more than it gives */
#define LONGEST (1 << 30)

typedef struct {
    const unsigned char *secret, *aad;
    unsigned char *out;
    int size, aad_size, padded;
} Part;

static EVP_CIPHER *aes;

static void put_number(unsigned char *to, uint32_t number) {
    to[0] = (unsigned char)(number >> 24);
    to[1] = (unsigned char)(number >> 16);
    to[2] = (unsigned char)(number >> 8);
    to[3] = (unsigned char)number;
}

/* front, number, then the sealed: length of the secret, the secret, zeros up to a multiple; and the tag. */
static int seal_parts(const unsigned char *key, const unsigned char *front, size_t front_size, uint32_t first,
                      const unsigned char *place, int place_size, const Part *parts, Py_ssize_t count) {
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    unsigned char nonce[NONCE] = {0};
    int done, good = cipher != NULL && EVP_EncryptInit_ex2(cipher, aes, key, NULL, NULL) == 1;
    for (Py_ssize_t at = 0; good && at < count; at++) {
        const Part *one = parts + at;
        unsigned char *body = one->out + front_size + 4;
        memcpy(one->out, front, front_size);
        put_number(one->out + front_size, first + (uint32_t)at);
        put_number(nonce + NONCE - 4, first + (uint32_t)at);
        put_number(body, (uint32_t)one->size);
        memcpy(body + 4, one->secret, (size_t)one->size);
        memset(body + 4 + one->size, 0, (size_t)(one->padded - 4 - one->size));
        good = EVP_EncryptInit_ex2(cipher, NULL, NULL, nonce, NULL) == 1 &&
               (place_size == 0 || EVP_EncryptUpdate(cipher, NULL, &done, place, place_size) == 1) &&
               (one->aad_size == 0 || EVP_EncryptUpdate(cipher, NULL, &done, one->aad, one->aad_size) == 1) &&
               EVP_EncryptUpdate(cipher, body, &done, body, one->padded) == 1 && done == one->padded &&
               EVP_EncryptFinal_ex(cipher, body + one->padded, &done) == 1 && done == 0 &&
               EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG, body + one->padded) == 1;
    }
    EVP_CIPHER_CTX_free(cipher); /* which wipes the key */
    return good;
}

static int take(PyObject *list, Py_ssize_t at, const unsigned char **to, int *size) {
    char *data;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(PyList_GetItem(list, at), &data, &length) != 0) return 0;
    if (length > LONGEST) {
        PyErr_SetString(PyExc_OverflowError, "too long to be sealed");
        return 0;
    }
    *to = (const unsigned char *)data;
    *size = (int)length;
    return 1;
}

PyDoc_STRVAR(seal_doc, "seal(key, front, first, place, pad, secrets, aads) -> sealed");

static PyObject *seal(PyObject *self, PyObject *args) {
    (void)self;
    const char *key, *front, *place;
    Py_ssize_t key_size, front_size, place_size, pad;
    long long first; /* with its sign: a number that wrapped would be a nonce used twice */
    PyObject *things, *bounds, *secrets = NULL, *aads = NULL, *found = NULL;
    Part *parts = NULL;
    if (!PyArg_ParseTuple(args, "y#y#Ly#nOO", &key, &key_size, &front, &front_size, &first, &place, &place_size, &pad,
                          &things, &bounds))
        return NULL;
    /* copies that no other thread can change; what is in them lives as long as they */
    int good = (secrets = PySequence_List(things)) != NULL && (aads = PySequence_List(bounds)) != NULL;
    Py_ssize_t count = good ? PyList_Size(secrets) : 0;
    if (good && (key_size != KEY || pad < 1 || pad > 4096 || place_size > LONGEST || PyList_Size(aads) != count ||
                 first < 0 || first > (1LL << 32) - count)) {
        PyErr_SetString(PyExc_ValueError, "not what can be sealed");
        good = 0;
    }
    good = good && (parts = PyMem_Calloc(count ? (size_t)count : 1, sizeof(Part))) != NULL &&
           (found = PyList_New(count)) != NULL;
    for (Py_ssize_t at = 0; good && at < count; at++) {
        Part *one = parts + at;
        good = take(secrets, at, &one->secret, &one->size) && take(aads, at, &one->aad, &one->aad_size);
        if (!good) break;
        one->padded = (int)((one->size + 4 + pad - 1) / pad * pad);
        PyObject *sealed = PyBytes_FromStringAndSize(NULL, front_size + 4 + one->padded + TAG);
        if ((good = sealed != NULL)) {
            one->out = (unsigned char *)PyBytes_AsString(sealed);
            PyList_SetItem(found, at, sealed);
        }
    }
    if (good) {
        PyThreadState *mine = count >= MANY ? PyEval_SaveThread() : NULL;
        good = seal_parts((const unsigned char *)key, (const unsigned char *)front, (size_t)front_size, (uint32_t)first,
                          (const unsigned char *)place, (int)place_size, parts, count);
        if (mine != NULL) PyEval_RestoreThread(mine);
    }
    PyMem_Free(parts);
    Py_XDECREF(secrets);
    Py_XDECREF(aads);
    if (good) return found;
    Py_XDECREF(found); /* a half-sealed one goes with it */
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "sealing failed");
    return NULL;
}

static PyMethodDef methods[] = {{"seal", seal, METH_VARARGS, seal_doc}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_series", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__series(void) {
    if ((aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL)) == NULL) {
        PyErr_SetString(PyExc_ImportError, "OpenSSL has no AES-256-GCM");
        return NULL;
    }
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddIntConstant(made, "VERSION", VERSION) != 0) Py_CLEAR(made);
    return made;
}
