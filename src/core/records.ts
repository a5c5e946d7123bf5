import type { Json, JsonObject } from './json.ts'

const format = 1

/** The bytes of a record, which name their format so that another one is refused (CRY-003). */
export function encodeRecord (record: object): Buffer {
  return Buffer.from(JSON.stringify({ v: format, ...record }), 'utf8')
}

/**
 * A record as its writer made it. The barrier has proved that the bytes are ours, so only the
 * format is checked; the type is the one that this kind of key is written with.
 *
 * @throws Error when the record has another format: this program is older than the store.
 */
export function decodeRecord<T extends object> (bytes: Uint8Array): T {
  const kept = decoded.get(bytes)
  if (kept !== undefined && kept.record !== null) return kept.record as unknown as T
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const record = JSON.parse(text) as JsonObject
  if (record['v'] !== format) throw new Error('a record has a format that this version does not know')
  if (kept !== undefined) kept.record = freeze(record)
  return record as unknown as T
}

/** Records by the bytes that are answered again and again. */
const decoded = new WeakMap<Uint8Array, { record: JsonObject | null }>()

/**
 * Says that these bytes will be answered again, unchanged: what they decode to is kept with them,
 * and frozen, since from then on all their readers share it.
 */
export function keepDecoded (bytes: Uint8Array): void {
  if (!decoded.has(bytes)) decoded.set(bytes, { record: null })
}

function freeze<T extends Json> (value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) freeze(inner)
    Object.freeze(value)
  }
  return value
}
