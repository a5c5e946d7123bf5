import type { Call } from '../../core/backend.ts'
import { decodeRecord, encodeRecord } from '../../core/records.ts'
import { StoreConflict } from '../../core/store.ts'

const tries = 5

/**
 * Reads a record of the mount, changes it, and writes it if nobody else wrote meanwhile; else all
 * of it again. So two partial updates at once both count.
 *
 * @throws StoreConflict when others were faster five times, and whatever `change` throws.
 */
export async function updateRecord<T extends object> (
  { store }: Pick<Call, 'store'>,
  path: string,
  { change, names }: { readonly change: (before: T | null) => T, readonly names?: readonly string[] }
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [entry] = await store.get([path])
    const value = encodeRecord(change(entry ? decodeRecord<T>(entry.value) : null))
    const expect = entry?.stamp ?? 'absent'
    try {
      await store.commit([{ op: 'put', key: store.key(path), value, expect, ...(names !== undefined && { names }) }])
      return
    } catch (error) {
      if (!(error instanceof StoreConflict) || attempt === tries) throw error
    }
  }
}
