import { decodeRecord, encodeRecord } from '../../core/records.ts'
import { drawStamp, key, SYS, type Change, type Entry, type Key, type Stamp, type Store } from '../../core/store.ts'
import type { Scope } from './scope.ts'

/** A scope as its record is. */
export interface Held {
  readonly scope: Scope
  readonly stamp: Stamp
}

const scopeKey = (name: string): Key => key(SYS, `scope/${name}`)
const goneKey = (id: string): Key => key(SYS, `scope-gone/${id}`)

/** The records of scopes, and of those that are gone and looked for once more. */
export function createScopeStore (store: Store) {
  const put = (scope: Scope, stamp: Stamp, expect: Stamp | 'absent', dueAtMs: number | null): Change => ({
    op: 'put',
    key: scopeKey(scope.name),
    value: encodeRecord(scope),
    stamp,
    expect,
    names: [`scope/${scope.name}`],
    ...dueAtMs !== null && { dueAtMs }
  })

  return {
    async find (name: string): Promise<Held | null> {
      const [entry] = await store.get([scopeKey(name)])
      return entry ? heldIn(entry) : null
    },
    /** Writes a scope over the record that was read. @throws StoreConflict where it is another one by now */
    async write (scope: Scope, expect: Stamp | 'absent', dueAtMs: number | null): Promise<Held> {
      const stamp = drawStamp()
      await store.commit([put(scope, stamp, expect, dueAtMs)], { strong: true })
      return { scope, stamp }
    },
    /** What makes a commit hold only while the record is the one that was read. */
    fence: ({ scope, stamp }: Held): Change[] => [{ op: 'check', key: scopeKey(scope.name), expect: stamp }],
    /** Frees the name, and has what is left looked for once more. @throws StoreConflict as `write` */
    async forget ({ scope, stamp }: Held, dueAtMs: number): Promise<void> {
      await store.commit([
        { op: 'delete', key: scopeKey(scope.name), expect: stamp },
        { op: 'put', key: goneKey(scope.id), value: encodeRecord(scope), dueAtMs }
      ], { strong: true })
    },
    async bury (entry: Entry): Promise<void> {
      await store.commit([{ op: 'delete', key: entry.key }])
    },
    /** Names in order. */
    async list (limit: number): Promise<string[]> {
      return (await store.list('scope/', { shard: SYS, limit })).map(({ name }) => name)
    }
  }
}

export type ScopeStore = ReturnType<typeof createScopeStore>

export function heldIn (entry: Entry): Held {
  return { scope: decodeRecord<Scope>(entry.value), stamp: entry.stamp }
}
