import { hash } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import type { EgressRules, Endpoint } from '../../core/egress.ts'
import { invalidRequest } from '../../core/errors.ts'
import type { RootConfig } from './config-record.ts'
import { parseEndpoint } from './egress.ts'
import { keepCredentials, providerOf, type IdentitySource } from './identity.ts'
import { createInFlight } from './in-flight.ts'
import { parseRegion, stsEndpointOf } from './regions.ts'
import { createSdkSts } from './sdk.ts'
import type { AwsCredentials, Sts, StsAnswer, StsCall } from './sts.ts'

/** Makes STS for one endpoint, region and identity. */
export type StsFactory = (target: {
  readonly endpoint: Endpoint
  readonly region: string
  readonly credentials: () => Promise<AwsCredentials>
}) => Sts

export interface ConnectionOptions {
  readonly clock: Clock
  readonly egress: EgressRules
  readonly identity: IdentitySource
  /** Region where a mount names none. */
  readonly region: string
  /** The SDK's STS unless given. */
  readonly stsFor?: StsFactory
}

/** STS as one mount's configuration reaches it. */
export interface Connection {
  /** Parts that a lease remembers. */
  readonly region: string
  readonly host: string
  /** Makes sure that there is an identity to sign with, before anything is recorded. @throws BrokerError */
  ready (): Promise<void>
  /** One call, in turn with others of the same `account`. @throws StsRefusal, StsNotSent, StsUncertain, Overloaded */
  call (call: StsCall, account: string): Promise<StsAnswer>
}

interface Held {
  readonly connection: Connection
  readonly sts: Sts
}

const limits = { inFlightMax: 64, perKeyMax: 32, waitingMax: 1024, waitMs: 5000 }
const heldMax = 64

/**
 * Holds connections to STS, one for each endpoint, region and identity, so that no credential or
 * socket of one is ever used for another (SEC-160). The least recently used is let go.
 */
export function createConnections (options: ConnectionOptions) {
  const { clock, egress, identity } = options
  const stsFor = options.stsFor ?? ((target) => createSdkSts({ ...target, clock, socketsMax: limits.inFlightMax }))
  const held = new Map<string, Held>()
  const provided = new Map<string, () => Promise<AwsCredentials>>()

  /** Credentials of the setting's provider, shared by all mounts of a region. */
  function fromProvider (region: string): () => Promise<AwsCredentials> {
    const known = provided.get(region)
    if (known !== undefined) return known
    const provider = providerOf(identity, region)
    if (provider === null) throw invalidRequest('no AWS credentials are configured: config/root holds no access_key and secret_key')
    const credentials = keepCredentials(provider, clock)
    provided.set(region, credentials)
    return credentials
  }

  function open (root: RootConfig, endpoint: Endpoint, region: string): Held {
    const { accessKey, secretKey } = root
    const own = accessKey === '' ? null : { accessKeyId: accessKey, secretAccessKey: secretKey }
    const credentials = own === null ? fromProvider(region) : async () => own
    const sts = stsFor({ endpoint, region, credentials })
    const inFlight = createInFlight(limits)
    return {
      sts,
      connection: {
        region,
        host: endpoint.host,
        async ready () {
          try {
            await credentials()
          } catch (error) {
            throw invalidRequest('the broker has no AWS credentials to sign with', error)
          }
        },
        call: (call, account) => inFlight.run(account, () => sts.call(call))
      }
    }
  }

  return {
    /**
     * The connection that a configuration describes.
     *
     * @throws BrokerError `invalid_request` where it describes none that may be used.
     */
    connect (root: RootConfig): Connection {
      if (root.identityTokenAudience !== '') throw invalidRequest('identity_token_audience is not supported yet')
      if ((root.accessKey === '') !== (root.secretKey === '')) throw invalidRequest('config/root holds only one of access_key and secret_key')
      const region = regionOf(root, options.region)
      const endpoint = parseEndpoint('sts_endpoint', root.stsEndpoint === '' ? stsEndpointOf(region) : root.stsEndpoint, 'sts', egress)
      const key = [endpoint.secure, endpoint.host, region, root.accessKey, fingerprint(root.secretKey)].join('\n')
      const known = held.get(key)
      held.delete(key)
      const current = known ?? open(root, endpoint, region)
      held.set(key, current)
      if (held.size > heldMax) letGoOfOldest()
      return current.connection
    },
    close () {
      for (const { sts } of held.values()) sts.close()
      held.clear()
    }
  }

  /** Calls under way end by themselves: their sockets are theirs until then. */
  function letGoOfOldest (): void {
    const [oldest] = held.keys()
    if (oldest !== undefined) held.delete(oldest)
  }
}

export type Connections = ReturnType<typeof createConnections>

/** The region to sign for (contract 6.1). */
function regionOf ({ region, stsRegion, stsEndpoint }: RootConfig, fallback: string): string {
  const chosen = (stsEndpoint === '' ? '' : stsRegion) || region || fallback
  if (parseRegion(chosen) === null) throw invalidRequest('no valid AWS region is configured')
  return chosen
}

function fingerprint (secret: string): string {
  return hash('sha256', secret, 'hex')
}
