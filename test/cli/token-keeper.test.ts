import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { readInvocation } from '../../src/cli/args.ts'
import type { Call } from '../../src/cli/client.ts'
import { commands } from '../../src/cli/commands.ts'
import { CallFailure } from '../../src/cli/failure.ts'
import { openTokenKeeper } from '../../src/cli/token-keeper.ts'
import { createFolder } from '../helpers/broker.ts'
import { manualParts } from './rig.ts'

const minute = 60_000
const second = 1000

/** A broker that knows tokens: each lives for 20 minutes, and by renewals for an hour. */
function tokenBroker (nowMs: () => number, { ttlMs = 20 * minute, maxMs = 60 * minute, uses = 0, refusesLookups = false, refusesRenewals = false } = {}) {
  const tokens = new Map<string, { endMs: number, readonly hardEndMs: number }>()
  const asked: (readonly [what: string, token: string])[] = []
  const opened = new Set<string>()
  const secretIds: string[] = []
  const state = { isAway: false, refusesLogins: false }
  const refusal = (status: number) => new CallFailure(status === 503 ? 'unavailable' : 'refused', `refused ${status}`, { status, isUnsent: false, retryAfterSeconds: null })
  const make = (name: string) => tokens.set(name, { endMs: nowMs() + ttlMs, hardEndMs: nowMs() + maxMs })
  const client = {
    origin: 'http://127.0.0.1:1',
    aheadMs: () => null,
    async ask ({ path: segments, token = '', body = '' }: Call) {
      const what = segments.at(-1) ?? ''
      asked.push([what, token])
      if (state.isAway) throw refusal(503)
      if (what === 'lookup' && token.startsWith('wrapping')) return { body: { data: { creation_path: 'auth/approle/role/ci/secret-id' } } }
      if (what === 'unwrap') {
        if (opened.has(token)) throw refusal(400)
        opened.add(token)
        return { body: { data: { secret_id: `of-${token}` } } }
      }
      if (what === 'login') {
        if (state.refusesLogins) throw refusal(400)
        secretIds.push(String((JSON.parse(body) as Record<string, unknown>)['secret_id']))
        const name = `token-${tokens.size + 1}`
        make(name)
        return { body: { auth: { client_token: name, lease_duration: ttlMs / second, renewable: true, num_uses: uses, policies: [] } } }
      }
      const found = tokens.get(token)
      if (found === undefined || found.endMs <= nowMs() || (refusesLookups && what === 'lookup-self')) throw refusal(403)
      if (what === 'revoke-self') {
        tokens.delete(token)
        return { body: null }
      }
      if (what === 'renew-self' && refusesRenewals) throw refusal(403)
      if (what === 'renew-self') found.endMs = Math.min(nowMs() + ttlMs, found.hardEndMs)
      const ttl = Math.floor((found.endMs - nowMs()) / second)
      if (what === 'renew-self') return { body: { auth: { client_token: token, lease_duration: ttl, renewable: true, policies: [] } } }
      return { body: { data: { ttl, creation_ttl: ttlMs / second, renewable: true, num_uses: uses } } }
    }
  }
  const count = (what: string) => asked.filter(([each]) => each === what).length
  return { client, state, tokens, make, count, asked, secretIds }
}

async function begin (t: Test, { given = '', identity = true, env = {}, input = '', ...limits }: { given?: string, identity?: boolean, env?: Record<string, string>, input?: string, ttlMs?: number, maxMs?: number, uses?: number, refusesLookups?: boolean, refusesRenewals?: boolean } = {}) {
  const folder = createFolder(t)
  const file = path.join(folder, 'token')
  const { parts, said, advance, time } = manualParts({ HOME: folder, LATCHKEY_TOKEN_FILE: file, ...(identity && { LATCHKEY_ROLE_ID: 'role', LATCHKEY_SECRET_ID: 'secret-id' }), ...env })
  let reads = 0
  const readInput = async () => ++reads === 1 ? input : ''
  const broker = tokenBroker(() => time.steadyMs, limits)
  const put = (token: string) => writeFileSync(file, token, { mode: 0o600 })
  if (given !== '') {
    broker.make(given)
    put(given)
  }
  const command = commands.find(({ name }) => name === 'sidecar')
  if (command === undefined) throw new Error('there is no such command')
  const used: string[] = []
  let revoked = 0
  const keeper = await openTokenKeeper({
    invocation: readInvocation([], command), parts: { ...parts, readInput }, client: broker.client, checkMs: 10 * second,
    changed: (token) => used.push(token), revoked: () => { revoked++ }
  })
  const stop = new AbortController()
  const running = keeper.run(stop.signal)
  t.teardown(async () => {
    stop.abort()
    await running
  })
  return { keeper, ...broker, advance, said, used, put, revoked: () => revoked }
}

t.test('a token is renewed after two thirds of its life, and replaced by a login when renewing ends', async (t) => {
  const { keeper, advance, used, count } = await begin(t)
  await advance(13 * minute)
  t.equal(count('renew-self'), 0)
  await advance(minute)
  t.equal(count('renew-self'), 1)
  await advance(38 * minute)
  t.strictSame(used, ['token-1'])
  await advance(8 * minute)
  t.strictSame(used, ['token-1', 'token-2'], 'before its hard end')
  t.equal(keeper.token(), 'token-2')
  await advance(24 * 60 * minute)
  t.ok(used.length >= 24 && used.length <= 32, `${used.length} logins in a day`)
  t.equal(keeper.token(), used.at(-1))
})

t.test('at the end what was made here is revoked, and what was given is not', async (t) => {
  const ours = await begin(t)
  await ours.advance(60 * minute)
  await ours.keeper.end(AbortSignal.timeout(10_000))
  t.equal(ours.tokens.has(ours.keeper.token()), false)
  const given = await begin(t, { given: 'somebody-elses' })
  t.equal(given.keeper.isOurs(), false)
  await given.keeper.end(AbortSignal.timeout(10_000))
  t.ok(given.tokens.has('somebody-elses'))
  t.equal(given.count('login'), 0, 'a token that lives is used')
})

t.test('SEC-328 a token that ends before its time was revoked: that is told once, and nobody logs in again', async (t) => {
  const { keeper, tokens, advance, revoked, count } = await begin(t)
  await advance(minute)
  tokens.clear()
  await advance(10 * second)
  t.equal(revoked(), 1)
  t.equal(await keeper.check(), 'revoked')
  await advance(60 * minute)
  t.strictSame([revoked(), count('login')], [1, 1])
})

t.test('a broker that is away is no revocation; a token that ended meanwhile is replaced', async (t) => {
  const { keeper, state, advance, revoked, used, said } = await begin(t)
  await advance(minute)
  state.isAway = true
  await advance(30 * minute)
  t.equal(revoked(), 0)
  state.isAway = false
  await advance(2 * minute)
  t.strictSame([revoked(), used], [0, ['token-1', 'token-2']])
  t.equal(said.length, 1, 'it is told once')
  state.refusesLogins = true
  await advance(3 * 60 * minute)
  state.refusesLogins = false
  await advance(2 * minute)
  t.equal(keeper.token(), 'token-3', 'a login that is refused is tried again')
})

t.test('of many tokens that were made one after another only those that may live are ended, the newest first', async (t) => {
  const { advance, keeper, tokens, count, asked } = await begin(t)
  await advance(12 * 60 * minute)
  const made = tokens.size
  t.ok(made > 10)
  await keeper.end(AbortSignal.timeout(10_000))
  t.ok(count('revoke-self') <= 3, `${count('revoke-self')} of ${made}`)
  t.equal(asked.find(([what]) => what === 'revoke-self')?.[1], keeper.token())
})

t.test('a token that was given is followed where somebody puts another one into its file', async (t) => {
  const { keeper, make, put, advance, revoked, used } = await begin(t, { given: 'first', identity: false, maxMs: 30 * minute })
  await advance(20 * minute)
  make('second')
  put('second')
  await advance(15 * minute)
  await keeper.check()
  t.strictSame([revoked(), used], [0, ['first', 'second']])
  t.equal(keeper.token(), 'second')
})

t.test('a token with few uses is not looked at, which would use it up; that is told', async (t) => {
  const { advance, count, said, revoked } = await begin(t, { uses: 5 })
  await advance(10 * minute)
  t.equal(count('lookup-self'), 0)
  t.match(said.join(''), /may be used a few times only, so it is not looked at/)
  t.equal(revoked(), 0)
})

t.test('a token that may not look at itself was not revoked', async (t) => {
  const { advance, count, said, revoked } = await begin(t, { refusesLookups: true })
  await advance(5 * minute)
  t.strictSame([revoked(), count('lookup-self')], [0, 1])
  t.match(said.join(''), /may not look at itself: that it was revoked is noticed only when something is fetched/)
})

t.test('a renewal or a login that is refused is no revocation', async (t) => {
  const { state, advance, revoked, used, count } = await begin(t, { refusesRenewals: true })
  await advance(14 * minute)
  t.strictSame([revoked(), used], [0, ['token-1', 'token-2']], 'it logs in where it may not renew')
  t.equal(count('renew-self'), 1)
  state.refusesLogins = true
  await advance(14 * minute)
  t.strictSame([revoked(), used], [0, ['token-1', 'token-2']])
  t.ok(count('renew-self') <= 3, 'a renewal that is refused is not asked for again')
  state.refusesLogins = false
  await advance(5 * minute)
  t.equal(used.at(-1), 'token-3')
})

t.test('a login that is done again has the secret_id of the first: from standard input, and of a wrapping that was opened', async (t) => {
  const piped = await begin(t, { env: { LATCHKEY_SECRET_ID: '', LATCHKEY_SECRET_ID_FILE: '-' }, input: 'from-input\n' })
  await piped.advance(90 * minute)
  t.strictSame(piped.secretIds, ['from-input', 'from-input'])
  const wrapped = await begin(t, { env: { LATCHKEY_SECRET_ID: 'wrapping-1', LATCHKEY_WRAPPED_BY: 'auth/approle/role/ci/secret-id' } })
  await wrapped.advance(90 * minute)
  t.strictSame(wrapped.secretIds, ['of-wrapping-1', 'of-wrapping-1'])
  t.strictSame(wrapped.said, [])
})
