/** Where a Redis is, of which kind, and who we are there. */
export interface RedisTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  readonly isTls: boolean
  readonly hosts: readonly RedisHost[]
  /** The name that Sentinels know the primary by; empty for the other kinds. */
  readonly primaryName: string
  readonly username: string
  readonly password: string
  readonly db: number
}

export interface RedisHost { readonly host: string, readonly port: number }

const FORM = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^/@]*)@)?([^/@?#]+)(?:\/([^?#]*))?$/
const HOST = /^(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._-]+)(?::(\d{1,5}))?$/

/**
 * Reads `redis://user:password@host:port/db`, `rediss://…` for TLS, `redis+sentinel://host:port,
 * host:port/name/db` and `redis+cluster://host:port,host:port`, the last two also as `rediss+…`.
 * User and password may be percent-encoded.
 *
 * @throws Error that says what is wrong without repeating the URL, which may hold a password.
 */
export function parseRedisUrl (url: string): RedisTarget {
  const match = FORM.exec(url)
  if (match === null) throw new Error('the URL of Redis has another form than redis://host:port')
  const [, scheme, kind = 'single', login = '', hosts = '', path = ''] = match
  const target = {
    isTls: scheme === 'rediss',
    hosts: parseHosts(hosts, kind === 'sentinel' ? 26379 : 6379),
    ...parseLogin(login)
  }
  if (kind === 'cluster') {
    if (path !== '') throw new Error('a Redis Cluster has no database number')
    return { ...target, kind, primaryName: '', db: 0 }
  }
  if (kind === 'sentinel') {
    const [primaryName = '', db = ''] = path.split('/')
    if (primaryName === '') throw new Error('the URL of Redis lacks the name that Sentinel uses')
    return { ...target, kind, primaryName, db: parseDb(db) }
  }
  if (target.hosts.length > 1) {
    throw new Error('redis:// takes one host; use redis+sentinel:// or redis+cluster://')
  }
  return { ...target, kind: 'single', primaryName: '', db: parseDb(path) }
}

function parseHosts (text: string, defaultPort: number): RedisHost[] {
  return text.split(',').map((one) => {
    const [, host = '', port = ''] = HOST.exec(one) ?? []
    const number = port === '' ? defaultPort : Number(port)
    if (host === '' || number < 1 || number > 65535) {
      throw new Error('the URL of Redis has a host of another form than name:port')
    }
    return { host: host.replace(/^\[|\]$/g, ''), port: number }
  })
}

function parseLogin (login: string): { username: string, password: string } {
  const cut = login.indexOf(':')
  const parts = cut < 0 ? ['', login] : [login.slice(0, cut), login.slice(cut + 1)]
  try {
    const [username = '', password = ''] = parts.map(decodeURIComponent)
    return { username, password }
  } catch {
    throw new Error('user or password in the URL of Redis is badly percent-encoded')
  }
}

function parseDb (text: string): number {
  if (!/^\d{0,3}$/.test(text)) throw new Error('the URL of Redis has a bad database number')
  return Number(text)
}
