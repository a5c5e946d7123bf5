import { AwsError } from '../aws-error.ts'
import { isLoopback } from '../http/loopback.ts'
import type { OidcProvider } from '../state/records.ts'

/** Where the keys of an issuer come from. */
export interface IssuerKeys {
  /**
   * The issuer's JWK set: as given in the seed, or fetched. `fresh` asks again.
   *
   * @throws AwsError IDPCommunicationError, InvalidIdentityToken.
   */
  read (provider: OidcProvider, fresh: boolean): Promise<unknown>
  /** Whether asking again could bring other keys. */
  isFetched (provider: OidcProvider): boolean
}

const timeoutMs = 5000
const documentBytesMax = 262_144
const providersMax = 100

/** Keys given, or fetched from issuers on loopback (OpenID Connect Discovery 1.0 section 4) and kept. */
export function createIssuerKeys (): IssuerKeys {
  const kept = new Map<string, unknown>()
  return {
    isFetched: ({ jwks }) => jwks === null,
    async read ({ url, jwks }, fresh) {
      if (jwks !== null) return jwks
      if (!fresh && kept.has(url)) return kept.get(url)
      const discovery = await fetchJson(`${url.replace(/\/$/, '')}/.well-known/openid-configuration`)
      const jwksUri = typeof discovery === 'object' && discovery !== null && 'jwks_uri' in discovery ? discovery.jwks_uri : null
      if (typeof jwksUri !== 'string') throw noKey()
      const keys = await fetchJson(jwksUri)
      if (kept.size >= providersMax) kept.clear()
      kept.set(url, keys)
      return keys
    }
  }
}

/** AWS's words when an issuer's keys cannot be had. */
export function noKey (): AwsError {
  return new AwsError(400, 'InvalidIdentityToken', 'Couldn\'t retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements')
}

/** Fetches from loopback only: the emulator reaches nothing else. */
async function fetchJson (url: string): Promise<unknown> {
  if (!URL.canParse(url) || !isLoopback(new URL(url).hostname)) throw noKey()
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' })
    if (!response.ok) throw new Error(`${response.status}`)
    const text = await response.text()
    if (text.length > documentBytesMax) throw new Error('too long')
    return JSON.parse(text) as unknown
  } catch (error) {
    if (error instanceof AwsError) throw error
    throw new AwsError(400, 'IDPCommunicationError', 'Could not communicate with the identity provider.')
  }
}
