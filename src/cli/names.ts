import { isJsonObject, type JsonObject } from '../core/json.ts'
import type { Call, Client } from './client.ts'
import { hasStatus } from './failure.ts'
import { parsePath } from './paths.ts'
import type { Screen } from './screen.ts'

/** What the resolver tells of a mount. */
export interface Resolved {
  readonly name: string
  /** Changes with the name. */
  readonly revision: string
}

/** The names that mounts have now, for those who know them by their own paths. */
export interface Names {
  /** null: the broker does not tell, for there is no such mount or no right; the own path may serve. */
  find (mount: string, token: string): Promise<Resolved | null>
  /**
   * Runs `use` with the segments of the name that a mount has now. Where that name stops answering,
   * the broker is asked once more; a name that is known to be old is never tried, for that is an alarm.
   */
  at<T> (mount: string, token: string, use: (name: readonly string[]) => Promise<T>): Promise<T>
  /** The same for a path below a mount, whose own path is found first. */
  below<T> (path: readonly string[], token: string, use: (path: readonly string[]) => Promise<T>): Promise<T>
}

export interface NamesOptions {
  readonly client: Pick<Client, 'ask'>
  /** Names of mounts are secrets wherever they are not the answer (SEC-222). */
  readonly hide: Screen['hide']
  /** false: paths are used as they are. */
  readonly isResolving: boolean
}

export function createNames ({ client, hide, isResolving }: NamesOptions): Names {
  async function find (mount: string, token: string): Promise<Resolved | null> {
    const body = await findBody(client, {
      method: 'GET', what: `sys/latchkey/resolve/${mount}`, path: ['sys', 'latchkey', 'resolve', ...parsePath(mount)], token, repeat: 'safe'
    })
    const resolved = readResolved(body)
    if (resolved !== null && resolved.name !== mount) hide(resolved.name)
    return resolved
  }

  async function at<T> (mount: string, token: string, use: (name: readonly string[]) => Promise<T>): Promise<T> {
    if (!isResolving) return use(parsePath(mount))
    const { name } = await find(mount, token) ?? { name: mount }
    try {
      return await use(parsePath(name))
    } catch (error) {
      if (!hasStatus(error, 403, 404)) throw error
      const next = await find(mount, token)
      if (next === null || next.name === name) throw error
      return use(parsePath(next.name))
    }
  }

  /** Of the mounts that a token can reach, the one that a path is below, by its own path. */
  async function findMount (path: readonly string[], token: string): Promise<string | null> {
    if (isBuiltIn(path)) return null
    const body = await findBody(client, {
      method: 'GET', what: 'sys/internal/ui/mounts', path: ['sys', 'internal', 'ui', 'mounts'], token, repeat: 'safe'
    })
    const data = body?.['data']
    const { secret, auth } = isJsonObject(data) ? data : {}
    const prefixes = [
      ...Object.keys(isJsonObject(secret) ? secret : {}),
      ...Object.keys(isJsonObject(auth) ? auth : {}).map((prefix) => `auth/${prefix}`)
    ]
    const asked = `${path.join('/')}/`
    const longest = prefixes.filter((prefix) => asked.startsWith(prefix)).sort((a, b) => b.length - a.length)[0]
    return longest?.replace(/\/$/, '') ?? null
  }

  return {
    find,
    at,
    async below (path, token, use) {
      const mount = isResolving ? await findMount(path, token) : null
      if (mount === null) return use(path)
      return at(mount, token, (name) => use([...name, ...path.slice(mount.split('/').length)]))
    }
  }
}

/** The broker's own mounts keep their names. */
function isBuiltIn ([first, second]: readonly string[]): boolean {
  return first === 'sys' || first === 'cubbyhole' || first === 'identity' || (first === 'auth' && second === 'token')
}

async function findBody (client: Pick<Client, 'ask'>, call: Call): Promise<JsonObject | null> {
  try {
    return (await client.ask(call)).body
  } catch (error) {
    if (hasStatus(error, 403, 404)) return null
    throw error
  }
}

/** What an answer of the resolver tells; null where it tells nothing. */
export function readResolved (body: JsonObject | null): Resolved | null {
  const data = body?.['data']
  const { name, revision } = isJsonObject(data) ? data : {}
  return typeof name === 'string' && typeof revision === 'string' ? { name, revision } : null
}
