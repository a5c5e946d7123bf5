import { StoreIntegrity, type Entry, type Key, type Put, type Stamp } from '../core/store.ts'

/** Stamp 8, uses 4, limit 4, length of the names 2; behind it the names, by NULs, and the value. */
const HEAD_BYTES = 18

/** The string that Redis keeps for a put; the script fills in the uses so far. */
export function encodeRecord ({ value, names = [], usesMax = 0 }: Put, stamp: Stamp): Buffer {
  const list = names.length === 0 ? '' : [...new Set(names)].join('\0')
  const namesBytes = Buffer.byteLength(list)
  const record = Buffer.allocUnsafe(HEAD_BYTES + namesBytes + value.length)
  record.write(stamp, 0, 'hex')
  record.writeUInt32BE(0, 8)
  record.writeUInt32BE(usesMax, 12)
  record.writeUInt16BE(namesBytes, 16)
  record.write(list, HEAD_BYTES)
  record.set(value, HEAD_BYTES + namesBytes)
  return record
}

/**
 * Reads what Redis answered for a key; the value is a view, not a copy.
 *
 * @throws StoreIntegrity when it is no record: an answer of another type, or cut.
 */
export function decodeRecord (key: Key, record: unknown): Entry {
  if (!Buffer.isBuffer(record) || record.length < HEAD_BYTES) throw new StoreIntegrity(key)
  const valueAt = HEAD_BYTES + record.readUInt16BE(16)
  if (valueAt > record.length) throw new StoreIntegrity(key)
  return {
    key,
    value: record.subarray(valueAt),
    stamp: record.toString('hex', 0, 8),
    used: record.readUInt32BE(8),
    usesMax: record.readUInt32BE(12)
  }
}
