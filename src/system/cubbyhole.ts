import { operation, type Backend, type Call } from '../core/backend.ts'
import { invalidRequest, notFound, permissionDenied } from '../core/errors.ts'
import { text } from '../core/fields.ts'
import { isJsonObject, parseExact, type Json, type JsonObject } from '../core/json.ts'
import { lineageChecks } from '../core/lineage.ts'
import type { Token } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, StoreConflict, type Key, type Store } from '../core/store.ts'

const pathField = { path: text('A path in the caller\'s own cubbyhole.') }
const listMax = 1000

/** A key-value store for every token, which lives and dies with it (contract 5.10, last paragraph). */
export function createCubbyhole ({ store }: { store: Store }): Backend {
  async function find (token: Token, path: string): Promise<string | null> {
    const [entry] = await store.get([entryKey(token, path)])
    return entry ? decodeRecord<{ json: string }>(entry.value).json : null
  }

  async function list (call: Call, path: string) {
    const token = ownerOf(call)
    const folder = path === '' ? '' : `${path}/`
    const page = { shard: token.accessor.slice(0, 2), folders: true, limit: listMax }
    const names = await store.list(`held-by/${token.accessor}/cubby/${folder}`, page)
    return { kind: 'data', data: { keys: names.map(({ name }) => name) } } as const
  }

  return {
    type: 'cubbyhole',
    description: 'A store for every token, which lives and dies with it.',
    operations: [
      operation({
        verb: 'list',
        path: '',
        access: 'capability',
        summary: 'List the top of the caller\'s cubbyhole',
        fields: {},
        freeForm: true,
        run: (call) => list(call, '')
      }),
      operation({
        verb: 'list',
        path: '*path',
        access: 'capability',
        summary: 'List a folder of the caller\'s cubbyhole',
        fields: pathField,
        freeForm: true,
        run: (call, { path = '' }) => list(call, path)
      }),
      operation({
        verb: 'read',
        path: '*path',
        access: 'capability',
        summary: 'Read from the caller\'s cubbyhole',
        fields: pathField,
        freeForm: true,
        async run (call, { path = '' }) {
          const json = await find(ownerOf(call), path)
          if (json === null) throw notFound()
          return { kind: 'data', data: asObject(parseExact(json)) }
        }
      }),
      operation({
        verb: 'write',
        path: '*path',
        access: 'capability',
        summary: 'Write to the caller\'s cubbyhole; replaces what was there',
        fields: pathField,
        freeForm: true,
        exists: async (call, { path = '' }) => call.token !== null && await find(call.token, path) !== null,
        async run (call, { path = '' }) {
          const { data, bodyText } = call.request
          if (Object.keys(data).length === 0) throw invalidRequest('missing data fields')
          await write(store, ownerOf(call), path, bodyText ?? JSON.stringify(data))
          return { kind: 'none' }
        }
      }),
      operation({
        verb: 'delete',
        path: '*path',
        access: 'capability',
        summary: 'Delete from the caller\'s cubbyhole',
        fields: pathField,
        freeForm: true,
        async run (call, { path = '' }) {
          await store.commit([{ op: 'delete', key: entryKey(ownerOf(call), path) }])
          return { kind: 'none' }
        }
      })
    ]
  }
}

function asObject (json: Json): JsonObject {
  if (!isJsonObject(json)) throw new Error('a cubbyhole holds objects')
  return json
}

function ownerOf ({ token }: Call): Token {
  if (token === null) throw permissionDenied()
  return token
}

function entryKey ({ accessor }: Token, path: string): Key {
  return key(accessor.slice(0, 2), `cubby/${accessor}/${path}`)
}

/** Writes only while the token and its ancestors live, so that nothing is left behind by a revoked one. */
async function write (store: Store, token: Token, path: string, json: string): Promise<void> {
  try {
    await store.commit([...lineageChecks(token), {
      op: 'put',
      key: entryKey(token, path),
      value: encodeRecord({ json }),
      names: [`held-by/${token.accessor}/cubby/${path}`]
    }])
  } catch (error) {
    if (error instanceof StoreConflict) throw permissionDenied(error)
    throw error
  }
}
