import type { Key, Store } from '../core/store.ts'
import { placesOf, type Place } from './places.ts'
import type { LeaseMounts } from './ports.ts'

/** Keys below a prefix, sorted, each once; folders end in `/`. */
export interface LeaseKeys {
  readonly keys: readonly string[]
  /** There are more: go on after the last of these. */
  readonly more: boolean
}

/** Which part of a list to answer. */
export interface ListBounds {
  readonly after: string
  /** 0: as many as there may be, see `keysMax`. */
  readonly limit: number
}

/** The most that one list answers; who wants more goes on after the last. */
export const keysMax = 100_000
const pageMax = 1000

/** Lists leases by the segments of their ids, those of tokens too (contract 5.8). */
export function createLeaseListing ({ store, mounts }: { store: Store, mounts: LeaseMounts }) {
  /** A mount below the prefix shows as the next segment of its path, if anything is leased there. */
  async function folderOf ({ names, folder }: Place): Promise<string | null> {
    const page = await store.list(names, { limit: 1 })
    return page.length === 0 ? null : folder.slice(0, folder.indexOf('/') + 1)
  }

  async function keysOf ({ names }: Place, after: string, limit: number): Promise<string[]> {
    const keys: string[] = []
    let from = after
    while (keys.length < limit) {
      const wanted = Math.min(pageMax, limit - keys.length)
      const page = await store.list(names, { limit: wanted, folders: true, ...(from !== '' && { after: from }) })
      keys.push(...page.map((named) => named.name))
      if (page.length < wanted) break
      from = page.at(-1)?.name ?? ''
    }
    return keys
  }

  return {
    async list (prefix: string, { after, limit }: ListBounds): Promise<LeaseKeys> {
      const wanted = limit === 0 ? keysMax : Math.min(limit, keysMax)
      const places = placesOf(mounts, prefix)
      const within = places.find((place) => place.folder === '')
      let keys: string[]
      if (within !== undefined) {
        keys = await keysOf(within, after, wanted + 1)
      } else {
        const folders = new Set((await Promise.all(places.map(folderOf))).filter((folder) => folder !== null))
        keys = [...folders].filter((folder) => folder > after).sort()
      }
      return { keys: keys.slice(0, wanted), more: keys.length > wanted }
    },
    /** Keys of leases that six attempts could not end, at most `limit`. */
    async irrevocableKeys (limit: number): Promise<Key[]> {
      const keys: Key[] = []
      let after: string | undefined
      while (keys.length < limit) {
        const page = await store.list('irrevocable/', { limit: Math.min(pageMax, limit - keys.length), ...(after !== undefined && { after }) })
        keys.push(...page.flatMap((named) => named.key ?? []))
        if (page.length === 0) break
        after = page.at(-1)?.name
      }
      return keys
    }
  }
}
