import { isJsonObject, type JsonObject } from '../core/json.ts'
import type { Invocation } from './args.ts'
import { createClient, type Client } from './client.ts'
import { Failure, hasStatus } from './failure.ts'
import type { Identity } from './identity.ts'
import { createNames, type Names } from './names.ts'
import type { Parts } from './parts.ts'
import { readConnection } from './settings.ts'
import { checkToken } from './tokens.ts'

/** The broker as a command sees it. */
export interface Broker {
  readonly client: Client
  readonly names: Names
}

export async function openBroker (invocation: Invocation, parts: Parts): Promise<Broker> {
  const client = createClient(await readConnection(invocation, parts), parts)
  const names = createNames({ client, hide: parts.screen.hide, isResolving: !invocation.has('no-resolve') })
  return { client, names }
}

/** A token of our own. */
export interface LoggedIn {
  readonly token: string
  readonly ttlSeconds: number
  /** Whether it may be used a few times only. */
  readonly isLimited: boolean
  readonly policies: readonly string[]
}

/** Logs in, once: each login is another token and may use up the secret_id. */
export async function login (identity: Identity, parts: Pick<Parts, 'screen'>, client: Client): Promise<LoggedIn> {
  const { roleId, secretId: given, wrappedBy, mount } = identity
  const isWrapped = given !== null && wrappedBy !== null
  const secretId = isWrapped ? await unwrapOnce(client, parts, checkToken(given, parts), wrappedBy) : given
  const body = JSON.stringify({ role_id: roleId, ...(secretId !== null && { secret_id: secretId }) })
  const answer = await client.ask({ method: 'PUT', what: 'login', path: [...mount, 'login'], body, repeat: 'unsent' })
  return readLogin(answer.body?.['auth'], parts)
}

/** What a client opened: it can be opened once, and a login that is done again needs it again. */
const opened = new WeakMap<Client, { readonly wrapping: string, readonly secretId: string }>()

async function unwrapOnce (client: Client, parts: Pick<Parts, 'screen'>, wrapping: string, madeBy: string): Promise<string> {
  const former = opened.get(client)
  if (former?.wrapping === wrapping) return former.secretId
  const secretId = await unwrap(client, parts, wrapping, madeBy)
  opened.set(client, { wrapping, secretId })
  return secretId
}

/** Opens a wrapped secret_id (contract 9), where it was made as it should be. Whoever opened it before did so in our place. */
async function unwrap (
  client: Client, { screen }: Pick<Parts, 'screen'>, wrapping: string, madeBy: string
): Promise<string> {
  async function ask (method: 'GET' | 'PUT', what: string): Promise<JsonObject> {
    const call = { method, what, path: what.split('/'), token: wrapping } as const
    try {
      const { body } = await client.ask(method === 'GET' ? { ...call, repeat: 'safe' } : { ...call, body: 'null', repeat: 'unsent' })
      const data = body?.['data']
      return isJsonObject(data) ? data : {}
    } catch (error) {
      if (!hasStatus(error, 400)) throw error
      throw new Failure('refused', 'the wrapped secret_id has expired or somebody opened it: have it revoked, and ask for another', { cause: error })
    }
  }
  const { creation_path: path } = await ask('GET', 'sys/wrapping/lookup')
  if (path !== madeBy) throw new Failure('refused', 'the wrapped secret_id was not made at the expected path: it was not opened')
  const { secret_id: secretId } = await ask('PUT', 'sys/wrapping/unwrap')
  if (typeof secretId !== 'string' || secretId === '') throw new Failure('failed', 'what was wrapped is no secret_id')
  screen.hide(secretId)
  return secretId
}

/** Reads the `auth` block of an answer. @throws Failure `failed` where it is none. */
export function readLogin (auth: unknown, parts: Pick<Parts, 'screen'>): LoggedIn {
  const { client_token: token, lease_duration: ttlSeconds, num_uses: uses, policies } = isJsonObject(auth) ? auth : {}
  if (typeof token !== 'string' || typeof ttlSeconds !== 'number') throw new Failure('failed', 'the answer to the login holds no token')
  return {
    token: checkToken(token, parts),
    ttlSeconds,
    isLimited: typeof uses === 'number' && uses > 0,
    policies: Array.isArray(policies) ? policies.filter((name) => typeof name === 'string') : []
  }
}

/** Ends a token and all that was made with it. */
export async function revokeToken (client: Client, token: string, signal?: AbortSignal): Promise<void> {
  const what = 'auth/token/revoke-self'
  await client.ask({ method: 'POST', what, path: what.split('/'), token, repeat: 'safe', ...(signal !== undefined && { signal }) })
}
