import { isNumberedShard, shardOf, type Key, type Named, type Page } from '../core/store.ts'

/** A full name and the record it belongs to, as an index holds them. */
export interface Indexed { readonly name: string, readonly key: Key }

/** Reads at most `limit` entries of an index from `from` (inclusive), sorted as bytes. */
export type ReadIndex = (from: string, limit: number) => Promise<readonly Indexed[]>

/**
 * The group of shards whose names share an index: the numbered ones are listed together, every
 * other shard by itself.
 */
export function indexOf (shard: string): string {
  return isNumberedShard(shard) ? '' : shard
}

/** The first name of a page. Names hold no NUL, so U+0001 makes the next possible name. */
export function firstName (prefix: string, after: string | undefined): string {
  if (after === undefined) return prefix
  return after.endsWith('/') ? behindFolder(prefix + after) : `${prefix}${after}\u0001`
}

/** The first name behind everything in a folder, whose name ends in `/`; `0` follows `/`. */
export function behindFolder (folder: string): string {
  return `${folder.slice(0, -1)}0`
}

/** How many names one look takes when folders are cut: each look yields at least one entry. */
const FOLDER_LOOK = 32

/** Fills a page from an index, one look after another, and skips what is inside a folder. */
export async function fillPage (prefix: string, page: Page, read: ReadIndex): Promise<Named[]> {
  const found: Named[] = []
  let from = firstName(prefix, page.after)
  for (;;) {
    const missing = page.limit - found.length
    const want = page.folders === true ? Math.min(missing, FOLDER_LOOK) : missing
    const indexed = await read(from, want)
    let folder = ''
    for (const { name, key } of indexed) {
      if (folder !== '' && name.startsWith(folder)) continue
      const cut = page.folders === true ? name.indexOf('/', prefix.length) : -1
      folder = cut < 0 ? '' : name.slice(0, cut + 1)
      found.push(cut < 0
        ? { name: name.slice(prefix.length), key }
        : { name: folder.slice(prefix.length), key: null })
    }
    const last = indexed.at(-1)
    if (last === undefined || indexed.length < want || found.length >= page.limit) return found
    from = folder === '' ? `${last.name}\u0001` : behindFolder(folder)
  }
}

/** Compares as UTF-8 bytes, which differs from comparing UTF-16 units beyond U+FFFF. */
export function compareBytes (one: string, other: string): number {
  if (one === other) return 0
  return Buffer.compare(Buffer.from(one, 'utf8'), Buffer.from(other, 'utf8'))
}

/** Tells whether a record is one of those a list of `page.shard` is about. */
export function isListed (key: Key, shard: string | undefined): boolean {
  const own = shardOf(key)
  return shard === undefined ? isNumberedShard(own) : own === shard
}
