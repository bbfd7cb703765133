/* Expat as CPython lends it to extensions: the capsule "pyexpat.expat_CAPI".
 *
 * Python's own pyexpat.h describes the capsule in terms of expat's types, which come with
 * another package; the few that it names are declared here. Their sizes are part of expat's
 * stable binary interface. */
#ifndef ROUTE_STANZA_EXPAT_API_H
#define ROUTE_STANZA_EXPAT_API_H

#include <stddef.h>

typedef struct XML_ParserStruct *XML_Parser;
typedef char XML_Char;
typedef char XML_LChar;
typedef unsigned char XML_Bool;
typedef unsigned long XML_Size;

enum XML_Status { XML_STATUS_ERROR = 0, XML_STATUS_OK = 1 };
enum XML_Error { XML_ERROR_NONE = 0, XML_ERROR_NO_MEMORY = 1 };

typedef struct {
    void *(*malloc_fcn)(size_t size);
    void *(*realloc_fcn)(void *block, size_t size);
    void (*free_fcn)(void *block);
} XML_Memory_Handling_Suite;

typedef struct XML_Encoding XML_Encoding;
typedef void (*XML_StartElementHandler)(void *, const XML_Char *, const XML_Char **);
typedef void (*XML_EndElementHandler)(void *, const XML_Char *);
typedef void (*XML_CharacterDataHandler)(void *, const XML_Char *, int);
typedef void (*XML_ProcessingInstructionHandler)(void *, const XML_Char *, const XML_Char *);
typedef void (*XML_CommentHandler)(void *, const XML_Char *);
typedef void (*XML_DefaultHandler)(void *, const XML_Char *, int);
typedef void (*XML_StartNamespaceDeclHandler)(void *, const XML_Char *, const XML_Char *);
typedef void (*XML_EndNamespaceDeclHandler)(void *, const XML_Char *);
typedef void (*XML_StartDoctypeDeclHandler)(void *, const XML_Char *, const XML_Char *,
                                            const XML_Char *, int);
typedef int (*XML_UnknownEncodingHandler)(void *, const XML_Char *, XML_Encoding *);

#include <pyexpat.h>

#endif
