import { isJsonObject, type JsonObject } from '../core/json.ts'
import type { Invocation } from './args.ts'
import type { Client } from './client.ts'
import { endIn, remainingMs, type End } from './credentials.ts'
import { Failure, hasStatus } from './failure.ts'
import { hasIdentity, readIdentity } from './identity.ts'
import { backOffMs } from './keeper.ts'
import { isAlive } from './kept-token.ts'
import { pauseOrStop, type Parts } from './parts.ts'
import { login, readLogin, revokeToken } from './session.ts'
import { findToken, readToken } from './tokens.ts'

/** A token that ends this early did not end by itself. */
const earlyMs = 5000

/**
 * What a look at the token showed: it lives; another one took its place; it ended, and there is no
 * other; somebody revoked it; nobody knows.
 */
type Fate = 'alive' | 'replaced' | 'ended' | 'revoked' | 'unknown'

/** Keeps a token that lives. */
export interface TokenKeeper {
  token (): string
  /** Whether it was made here. */
  isOurs (): boolean
  /** Looks at it, and renews or replaces it where it is about to end. */
  check (): Promise<Fate>
  /** Looks every so often, until it is stopped or the token was revoked. */
  run (signal: AbortSignal): Promise<void>
  /** Ends what was made here. */
  end (signal: AbortSignal): Promise<void>
}

export interface TokenKeeperOptions {
  readonly invocation: Invocation
  readonly parts: Parts
  readonly client: Client
  readonly checkMs: number
  /** Told of each token in use. */
  readonly changed: (token: string) => void
  /** Told, once, that somebody revoked it. */
  readonly revoked: () => void
}

/** Begins with the token that was given, where that lives, else with a login. */
export async function openTokenKeeper (options: TokenKeeperOptions): Promise<TokenKeeper> {
  const { invocation, parts, client, checkMs, changed, revoked } = options
  const { screen, random } = parts
  const mayLogIn = hasIdentity(invocation, parts)
  const given = await findToken(invocation, parts)
  const isGiven = given !== null && (!mayLogIn || await isAlive(client, given.token))
  if (!isGiven && !mayLogIn) await readToken(invocation, parts)
  /** Those made here that may still live. */
  const ours = new Map<string, End | null>()
  let token = isGiven ? given.token : ''
  /** null: not known, or never. */
  let end: End | null = null
  let canBeWatched = true
  let canBeRenewed = true
  let wasSeen = false
  let isRevoked = false
  let failures = 0
  let checking: Promise<Fate> | null = null

  async function logIn (): Promise<void> {
    const made = await login(await readIdentity(invocation, parts), parts, client)
    if (ours.has(token)) ours.set(token, end)
    for (const [former, itsEnd] of ours) if (itsEnd !== null && remainingMs(itsEnd, parts) <= 0) ours.delete(former)
    ours.set(made.token, null)
    use(made.token, made.ttlSeconds)
    if (made.isLimited) giveUpWatching('the token may be used a few times only, so it is not looked at')
  }

  function use (next: string, ttlSeconds: number | null): void {
    token = next
    end = ttlSeconds === null || ttlSeconds === 0 ? null : endIn(ttlSeconds * 1000, parts)
    wasSeen = false
    canBeRenewed = true
    changed(next)
  }

  function giveUpWatching (why: string): void {
    if (canBeWatched) screen.say(`${why}: that it was revoked is noticed only when something is fetched`)
    canBeWatched = false
  }

  /** Puts another token in the place of one that ends: of a new login, or that somebody put into the file. */
  async function replace (): Promise<Fate> {
    if (ours.has(token)) {
      await logIn()
      return 'replaced'
    }
    const next = await findToken(invocation, parts)
    if (next === null || next.token === token) return 'ended'
    use(next.token, null)
    return 'replaced'
  }

  /** What the broker tells of the token. @throws CallFailure with status 403 where it does not know it, or may not tell. */
  async function lookUp (): Promise<JsonObject> {
    const what = 'auth/token/lookup-self'
    const { body } = await client.ask({ method: 'GET', what, path: what.split('/'), token, repeat: 'safe' })
    const data = body?.['data']
    return isJsonObject(data) ? data : {}
  }

  async function lookAfter ({ ttl, creation_ttl: creationTtl, renewable, num_uses: uses }: JsonObject): Promise<Fate> {
    wasSeen = true
    if (typeof uses === 'number' && uses > 0) giveUpWatching('the token may be used a few times only, so it is not looked at')
    if (typeof ttl !== 'number' || typeof creationTtl !== 'number' || ttl === 0) return 'alive'
    end = endIn(ttl * 1000, parts)
    const soonSeconds = creationTtl / 3
    if (ttl > soonSeconds) return 'alive'
    canBeRenewed &&= renewable === true && await renew() > soonSeconds
    if (canBeRenewed) return 'alive'
    const fate = await replace()
    return fate === 'ended' ? 'alive' : fate
  }

  /** Answers the seconds that it lives from now; 0 where it may not be renewed. */
  async function renew (): Promise<number> {
    const what = 'auth/token/renew-self'
    try {
      const { body } = await client.ask({ method: 'PUT', what, path: what.split('/'), token, body: '{}', repeat: 'safe' })
      const { ttlSeconds } = readLogin(body?.['auth'], parts)
      end = endIn(ttlSeconds * 1000, parts)
      return ttlSeconds
    } catch (error) {
      if (error instanceof Failure && error.kind === 'refused') return 0
      throw error
    }
  }

  /** What it means that the broker does not know the token. */
  async function judgeRefusal (): Promise<Fate> {
    if (end !== null && remainingMs(end, parts) <= earlyMs) return replace()
    if (wasSeen) return 'revoked'
    giveUpWatching('the token may not look at itself')
    return 'unknown'
  }

  async function checkOnce (): Promise<Fate> {
    if (!canBeWatched) return end !== null && remainingMs(end, parts) <= earlyMs ? replace() : 'unknown'
    let facts: JsonObject
    try {
      facts = await lookUp()
    } catch (error) {
      if (!hasStatus(error, 403)) throw error
      return judgeRefusal()
    }
    return lookAfter(facts)
  }

  /** A new token is looked at right away, so that one which may not look at itself is not taken for a revoked one later. */
  async function checkThrough (): Promise<Fate> {
    const fate = await checkOnce()
    if (fate !== 'replaced') return fate
    return await checkOnce() === 'revoked' ? 'revoked' : fate
  }

  async function checkNow (): Promise<Fate> {
    try {
      const fate = isRevoked ? 'revoked' : await checkThrough()
      failures = 0
      if (fate === 'revoked' && !isRevoked) {
        isRevoked = true
        revoked()
      }
      return fate
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (++failures === 1) screen.say(`${error.message}; the token is looked at again later`)
      return 'unknown'
    }
  }

  if (isGiven) use(token, null)
  else await logIn()
  await checkNow()

  function check (): Promise<Fate> {
    checking ??= checkNow().finally(() => { checking = null })
    return checking
  }

  return {
    token: () => token,
    isOurs: () => ours.has(token),
    check,
    async run (signal) {
      while (!signal.aborted) {
        const retryMs = failures === 0 ? 0 : backOffMs(new Failure('unavailable', ''), failures, random)
        await pauseOrStop(parts, Math.max(checkMs, retryMs), signal)
        if (!signal.aborted && await check() === 'revoked') return
      }
    },
    async end (signal) {
      for (const made of [...ours.keys()].reverse()) {
        await revokeToken(client, made, signal).catch((error: unknown) => {
          if (!hasStatus(error, 403)) throw error
        })
      }
    }
  }
}
