import type { Clock } from '../../core/clock.ts'
import { stsEndpointOf } from './regions.ts'
import type { AwsCredentials } from './sts.ts'

/**
 * Where the broker's own AWS credentials come from when a mount's `config/root` holds none. `chain`
 * is the SDK's search through everything, for a development start only (SEC-368).
 */
export type IdentitySource = 'static' | 'environment' | 'web-identity' | 'container' | 'instance' | 'chain'

/** All sources, for settings. */
export const identitySources: readonly IdentitySource[] = ['static', 'environment', 'web-identity', 'container', 'instance', 'chain']

/** Credentials of a provider, with their end where they have one. */
export interface ProvidedCredentials extends AwsCredentials {
  readonly expiration?: Date | undefined
}

/** Asks a provider anew. */
export type CredentialProvider = () => Promise<ProvidedCredentials>

const refreshMs = 5 * 60_000

/**
 * The provider that a source names, and nothing else; null for `static`, which is what
 * `config/root` holds. The SDK's parts are loaded when they are first needed.
 */
export function providerOf (source: IdentitySource, region: string): CredentialProvider | null {
  switch (source) {
    case 'static': return null
    case 'environment': return async () => (await import('@aws-sdk/credential-provider-env')).fromEnv()()
    case 'web-identity': return async () => {
      const { fromTokenFile } = await import('@aws-sdk/credential-provider-web-identity')
      return fromTokenFile({ clientConfig: { region, endpoint: stsEndpointOf(region) } })()
    }
    case 'container': return async () => (await import('@aws-sdk/credential-provider-http')).fromHttp()()
    case 'instance': return async () => (await import('@smithy/credential-provider-imds')).fromInstanceMetadata({ maxRetries: 1 })()
    case 'chain': return async () => (await import('@aws-sdk/credential-provider-node')).defaultProvider({ clientConfig: { region } })()
  }
}

/**
 * Keeps credentials until five minutes before their end and asks once for all who wait. Where a
 * refresh fails, what is kept serves until it has really ended.
 */
export function keepCredentials (provider: CredentialProvider, clock: Clock): () => Promise<AwsCredentials> {
  let kept: ProvidedCredentials | null = null
  let asking: Promise<ProvidedCredentials> | null = null

  function lives (credentials: ProvidedCredentials, marginMs: number): boolean {
    return credentials.expiration === undefined || credentials.expiration.getTime() - marginMs > clock.now()
  }

  async function ask (): Promise<ProvidedCredentials> {
    try {
      kept = await provider()
      return kept
    } catch (error) {
      if (kept !== null && lives(kept, 0)) return kept
      throw error
    } finally {
      asking = null
    }
  }

  return async () => {
    if (kept !== null && lives(kept, refreshMs)) return kept
    asking ??= ask()
    return asking
  }
}
