import type { Call } from '../../core/backend.ts'
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
/** Names that one answer is made of, and keys with their versions: each is written, hashed for the log and sent at once. */
const namesMax = 100_000
const rowsMax = 20_000

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

type Lister = Pick<Call, 'store' | 'mayScan'> & { readonly request: Pick<Call['request'], 'path'> }

/**
 * Names in a folder, relative to it and sorted as bytes (contract 7.1, 7.5). A scan goes into no folder
 * that its caller may not scan by itself: it would tell what a deny hides (SEC-010).
 *
 * @throws BrokerError `invalid_request` for more names than one answer has
 */
export async function listNames (
  { store, request, mayScan }: Lister, { path = '', after = '', limit = 0 }: Asked, folders: boolean
): Promise<string[]> {
  if (after !== '' && !isPath(after)) throw invalidRequest('not a name to go on after')
  const prefix = path === '' ? keyPath('') : `${keyPath(path)}/`
  const wanted = limit > 0 ? limit : Infinity
  const isShown = mayScan === undefined ? null : shownBy((folder) => mayScan(`${request.path}/${folder}`))
  const names: string[] = []
  let seen = 0
  for (let last = after; names.length < wanted;) {
    const size = isShown === null ? Math.min(pageSize, wanted - names.length) : pageSize
    const page = await store.list(prefix, { limit: size, folders, ...(last !== '' && { after: last }) })
    seen += page.length
    if (seen > namesMax) throw invalidRequest(`an answer is made of at most ${namesMax} names: ask for pages with "limit" and "after"`)
    for (const { name } of page) if (isShown === null || isShown(name)) names.push(name)
    last = page.at(-1)?.name ?? ''
    if (page.length < size) break
  }
  return names.length > wanted ? names.slice(0, wanted) : names
}

/** Whether a name's folder is one that may be looked into; names come sorted, so the last folder is asked about again and again. */
function shownBy (mayLookInto: (folder: string) => boolean): (name: string) => boolean {
  let folder = ''
  let isOpen = true
  return (name) => {
    const own = name.slice(0, name.lastIndexOf('/') + 1)
    if (own !== folder) {
      folder = own
      isOpen = own === '' || mayLookInto(own)
    }
    return isOpen
  }
}

/**
 * Names in a folder with what `view` tells of their keys; folders with nothing.
 *
 * @throws BrokerError `invalid_request` for more than one answer has
 */
export async function listDetails (
  lister: Lister, asked: Asked, folders: boolean, view: (key: KvKey) => JsonObject
): Promise<JsonObject> {
  const names = await listNames(lister, asked, folders)
  const folder = asked.path === undefined || asked.path === '' ? '' : `${asked.path}/`
  const details = new Map<string, JsonObject>()
  let rows = 0
  for (let i = 0; i < names.length; i += readSize) {
    const some = names.slice(i, i + readSize)
    const keys = some.filter((name) => !name.endsWith('/'))
    const entries = await lister.store.get(keys.map((name) => keyPath(folder + name)))
    for (const name of some) details.set(name, {})
    for (const [n, entry] of entries.entries()) {
      if (entry === null) continue
      const { key } = decodeKey(entry)
      rows += 1 + key.versions.length
      details.set(keys[n] ?? '', view(key))
    }
    if (rows > rowsMax) throw invalidRequest('that is too much for one answer: ask for pages with a smaller "limit", and "after"')
  }
  return { keys: names, key_info: Object.fromEntries(details) }
}
