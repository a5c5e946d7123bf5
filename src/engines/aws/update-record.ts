import type { Call } from '../../core/backend.ts'
import { decodeRecord, encodeRecord } from '../../core/records.ts'
import { retryConflicts } from '../../core/retry.ts'

/**
 * Reads a record of the mount, changes it, and writes it if nobody else wrote meanwhile; else all
 * of it again. So two partial updates at once both count.
 *
 * @throws BrokerError `unavailable` when others keep writing it, and whatever `change` throws.
 */
export function updateRecord<T extends object> (
  { store }: Pick<Call, 'store'>,
  path: string,
  { change, names }: { readonly change: (before: T | null) => T, readonly names?: readonly string[] }
): Promise<void> {
  return retryConflicts(async () => {
    const [entry] = await store.get([path])
    const value = encodeRecord(change(entry ? decodeRecord<T>(entry.value) : null))
    const expect = entry?.stamp ?? 'absent'
    await store.commit([{ op: 'put', key: store.key(path), value, expect, ...(names !== undefined && { names }) }])
  })
}
