import { formatDurationShort } from '../core/duration.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { Invocation } from './args.ts'
import { CallFailure, Failure } from './failure.ts'
import { readResolved } from './names.ts'
import type { Parts } from './parts.ts'
import { parsePath } from './paths.ts'
import { jsonText, tableText } from './present.ts'
import { openBroker } from './session.ts'
import { sayWrongClock } from './skew.ts'
import { readToken } from './tokens.ts'

/** `latchkey whoami`: what the token is. */
export async function runWhoami (invocation: Invocation, parts: Parts): Promise<void> {
  const { client } = await openBroker(invocation, parts)
  const { token } = await readToken(invocation, parts)
  const what = 'auth/token/lookup-self'
  const { body } = await client.ask({ method: 'GET', what, path: what.split('/'), token, repeat: 'safe' })
  const data = body?.['data']
  if (!isJsonObject(data)) throw new Failure('failed', 'the answer tells nothing of the token')
  const { ttl } = data
  const shown: JsonObject = {
    display_name: data['display_name'] ?? null,
    accessor: data['accessor'] ?? null,
    policies: data['policies'] ?? null,
    meta: data['meta'] ?? null,
    ttl: ttl ?? null
  }
  await parts.screen.out(invocation.text('format') === 'json'
    ? jsonText(shown)
    : tableText({ ...shown, ttl: typeof ttl === 'number' && ttl > 0 ? formatDurationShort(ttl) : 'unlimited' }))
}

/** `latchkey status`: whether the broker answers, and how it is. */
export async function runStatus (invocation: Invocation, parts: Parts): Promise<void> {
  const { client } = await openBroker(invocation, parts)
  const { body } = await client.ask({ method: 'GET', what: 'sys/health', path: ['sys', 'health'], repeat: 'safe' })
  const aheadMs = client.aheadMs()
  const shown: Record<string, Json> = {
    address: client.origin,
    version: body?.['version'] ?? null,
    cluster_name: body?.['cluster_name'] ?? null,
    clock_ahead_seconds: aheadMs === null ? null : Math.round(aheadMs / 1000)
  }
  const degraded = body?.['degraded']
  if (degraded !== undefined) shown['degraded'] = degraded
  await parts.screen.out(invocation.text('format') === 'json' ? jsonText(shown) : tableText(shown))
  sayWrongClock(client, parts.screen)
}

/** The longest that the broker waits, and what is asked for so that an answer comes well before it. */
const watchSeconds = 50
const pauseMsMax = 30_000

/** `latchkey resolve`: the present name of a mount, or with `--watch` each one as it comes. */
export async function runResolve (invocation: Invocation, parts: Parts): Promise<void> {
  const { client } = await openBroker(invocation, parts)
  const { token } = await readToken(invocation, parts)
  const mount = parsePath(invocation.operands[0] ?? '').join('/')
  const ask = async (known: string | null) => {
    const { body } = await client.ask({
      method: 'GET',
      what: `sys/latchkey/resolve/${mount}`,
      path: ['sys', 'latchkey', 'resolve', ...mount.split('/')],
      token,
      query: { known, wait: known === null ? null : `${watchSeconds}s` },
      repeat: 'safe',
      waitMs: watchSeconds * 1000
    })
    const resolved = readResolved(body)
    if (resolved === null) throw new Failure('failed', 'the answer holds no name')
    return resolved
  }
  let present = await ask(null)
  await parts.screen.out(`${present.name}\n`)
  for (let failures = 0; invocation.has('watch');) {
    try {
      const next = await ask(present.revision)
      if (next.name !== present.name) await parts.screen.out(`${next.name}\n`)
      present = next
      failures = 0
    } catch (error) {
      // A broker that is away comes back; who may not know the name any more is told so.
      if (!(error instanceof CallFailure) || error.kind !== 'unavailable') throw error
      if (failures++ === 0) parts.screen.say(`${error.message}; trying again`)
      await parts.pause(Math.min(pauseMsMax, 1000 * 2 ** Math.min(failures, 5)) + parts.random(1000))
    }
  }
}
