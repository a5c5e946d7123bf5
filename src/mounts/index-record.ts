import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, SYS, type Change, type Key, type Stamp, type Store } from '../core/store.ts'

/** Which mount holds the index of names. */
export interface IndexRecord {
  readonly accessor: string
  /** All that was written is to be removed, and this record after it. */
  readonly isEnding: boolean
}

export interface FoundRecord { readonly record: IndexRecord, readonly stamp: Stamp }

const recordKey = key(SYS, 'name-index')
const notes = 'name-index-key/'
const noteKey = (path: string): Key => key(SYS, notes + path)
/** With the check of the record they fit a commit of 256 changes and of 1 MiB. */
const notesMax = 200
const pageLimit = 500

/**
 * The setting of the index, and a note of each key that may have been written: made before the key,
 * forgotten after it was removed. Each note is a record of its own, so that their number has no limit.
 */
export function createIndexRecords (store: Store) {
  const noteOf = (path: string): Change => ({ op: 'put', key: noteKey(path), value: encodeRecord({}), names: [notes + path] })

  return {
    async find (): Promise<FoundRecord | null> {
      const [entry] = await store.get([recordKey])
      return entry ? { record: decodeRecord<IndexRecord>(entry.value), stamp: entry.stamp } : null
    },
    put: (record: IndexRecord, expect: Stamp | 'absent'): Change =>
      ({ op: 'put', key: recordKey, value: encodeRecord(record), expect }),
    /** @throws StoreConflict where the setting is another one by now */
    async note ({ stamp }: FoundRecord, paths: readonly string[]): Promise<void> {
      for (let at = 0; at < paths.length; at += notesMax) {
        await store.commit([{ op: 'check', key: recordKey, expect: stamp }, ...paths.slice(at, at + notesMax).map(noteOf)])
      }
    },
    async noted (): Promise<string[]> {
      const paths: string[] = []
      for (let after: string | undefined; ;) {
        const page = await store.list(notes, { shard: SYS, limit: pageLimit, ...after !== undefined && { after } })
        paths.push(...page.map(({ name }) => name))
        after = page.at(-1)?.name
        if (page.length < pageLimit) return paths
      }
    },
    async forget (path: string): Promise<void> {
      await store.commit([{ op: 'delete', key: noteKey(path) }])
    },
    /** @throws StoreConflict as `note` */
    async remove ({ stamp }: FoundRecord): Promise<void> {
      await store.commit([{ op: 'delete', key: recordKey, expect: stamp }])
    }
  }
}

export type IndexRecords = ReturnType<typeof createIndexRecords>
