import type { Call, MountStore } from '../../core/backend.ts'
import { invalidRequest } from '../../core/errors.ts'
import { int, text } from '../../core/fields.ts'
import type { JsonObject } from '../../core/json.ts'
import { isPath } from '../../core/store.ts'
import { decodeKey, keyPath, type KvKey } from './key-record.ts'

/** Which part of a folder to list. */
export const listFields = {
  path: text('The folder.'),
  after: text('List what comes after this name.'),
  limit: int('At most so many names; 0: all.')
}

const pageSize = 1000
/** Records of keys in one read: their data may come with them. */
const readSize = 50

interface Asked {
  readonly path: string | undefined
  readonly after: string | undefined
  readonly limit: number | undefined
}

/** A list shows what is directly in a folder, folders with a slash; a scan shows the keys in it and in all folders below. */
export const listings = [
  { verb: 'list', what: 'Lists the keys and folders in a folder', folders: true },
  { verb: 'scan', what: 'Lists the keys in a folder and in all folders below it', folders: false }
] as const

/** Names in a folder, relative to it and sorted as bytes (contract 7.1, 7.5). */
export async function listNames (
  { store }: Pick<Call, 'store'>, { path = '', after = '', limit = 0 }: Asked, folders: boolean
): Promise<string[]> {
  if (after !== '' && !isPath(after)) throw invalidRequest('not a name to go on after')
  const prefix = path === '' ? keyPath('') : `${keyPath(path)}/`
  const wanted = limit > 0 ? limit : Infinity
  const names: string[] = []
  for (let last = after; names.length < wanted;) {
    const size = Math.min(pageSize, wanted - names.length)
    const page = await store.list(prefix, { limit: size, folders, ...(last !== '' && { after: last }) })
    for (const { name } of page) names.push(name)
    last = page.at(-1)?.name ?? ''
    if (page.length < size) break
  }
  return names
}

/** Names in a folder with what `view` tells of their keys; folders with nothing. */
export async function listDetails (
  { store }: { readonly store: MountStore }, asked: Asked, folders: boolean, view: (key: KvKey) => JsonObject
): Promise<JsonObject> {
  const names = await listNames({ store }, asked, folders)
  const folder = asked.path === undefined || asked.path === '' ? '' : `${asked.path}/`
  const details = new Map<string, JsonObject>()
  for (let i = 0; i < names.length; i += readSize) {
    const some = names.slice(i, i + readSize)
    const keys = some.filter((name) => !name.endsWith('/'))
    const entries = await store.get(keys.map((name) => keyPath(folder + name)))
    for (const name of some) details.set(name, {})
    for (const [n, entry] of entries.entries()) if (entry !== null) details.set(keys[n] ?? '', view(decodeKey(entry).key))
  }
  return { keys: names, key_info: Object.fromEntries(details) }
}
