import { operation, type Call, type Operation, type Outcome } from '../../core/backend.ts'
import { parseSeconds } from '../../core/duration.ts'
import { BrokerError, invalidRequest, notFound } from '../../core/errors.ts'
import { isJsonObject, parseExact, type Json, type JsonObject } from '../../core/json.ts'
import { pathField } from './fields.ts'
import { newKey } from './key-record.ts'
import { readKey, type Keys, type Loaded } from './keys.ts'
import { listFields, listings, listNames } from './list.ts'
import { checkSize } from './write.ts'

/**
 * Version 1 of the engine (contract 7.1). A key is kept as one of version 2 with a single version,
 * which each write replaces: so raising a mount's version moves no data and cannot end half-way.
 */
export function createPlainOperations (keys: Keys): Operation[] {
  const fields = { path: pathField }
  return [
    ...['', '*path'].flatMap((path) => listings.map(({ verb, what, folders }) => operation({
      verb, path, access: 'capability', summary: what, fields: listFields, freeForm: true,
      run: async (call, input) => ({ kind: 'data', data: { keys: await listNames(call, input, folders) } })
    }))),
    operation({
      verb: 'read', path: '*path', access: 'capability', summary: 'Reads a key', fields, freeForm: true,
      run: (call, { path = '' }) => read(call, path)
    }),
    operation({
      verb: 'write', path: '*path', access: 'capability', summary: 'Writes a key; replaces what was there', fields, freeForm: true,
      exists: (call, input) => keys.exists(call, input.path ?? '', input),
      async run (call, input) {
        const { data, bodyText } = call.request
        if (Object.keys(data).length === 0) throw invalidRequest('missing data fields')
        const text = bodyText ?? JSON.stringify(data)
        checkSize(text)
        await keys.change(call, input.path ?? '', input, (loaded) => {
          checkPlain(loaded)
          const key = newKey(call.nowMs)
          const version = { number: 1, createdMs: call.nowMs, deletionMs: 0, destroyed: false }
          return { put: { key: { ...key, plain: true, current: 1, versions: [version] }, text }, result: null }
        })
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'delete', path: '*path', access: 'capability', summary: 'Deletes a key', fields, freeForm: true,
      async run (call, input) {
        await keys.change(call, input.path ?? '', input, (loaded) => {
          checkPlain(loaded)
          return loaded.stored === null ? { result: null } : { put: null, result: null }
        })
        return { kind: 'none' }
      }
    })
  ]
}

async function read (call: Call, path: string): Promise<Outcome> {
  const found = await readKey(call, path)
  if (found === null) throw notFound()
  if (!found.key.plain || found.text === null) throw upgraded()
  const data = parseExact(found.text)
  if (!isJsonObject(data)) throw new BrokerError('failed', 'internal error')
  const leaseDurationSeconds = ownTtl(data) ?? call.ttlBounds.ttlSecondsDefault
  return { kind: 'data', data, lease: { leaseId: '', renewable: false, leaseDurationSeconds } }
}

/** The seconds that the data name as their own: `ttl`, or `lease` as it was called before. Null where they do not. */
function ownTtl (data: JsonObject): number | null {
  const raw: Json | undefined = Object.hasOwn(data, 'ttl') ? data['ttl'] : Object.hasOwn(data, 'lease') ? data['lease'] : undefined
  if (typeof raw !== 'string' && typeof raw !== 'number') return null
  try {
    return parseSeconds(raw) || null
  } catch {
    return null
  }
}

/** Another broker raised the mount's version, and this one is about to learn of it: versions must not be overwritten. */
function checkPlain ({ stored }: Loaded): void {
  if (stored !== null && !stored.key.plain) throw upgraded()
}

function upgraded (): BrokerError {
  return new BrokerError('unavailable', 'the mount was raised to version 2 a moment ago: try again')
}
