import type { Engine } from '../../core/backend.ts'
import type { Clock } from '../../core/clock.ts'
import type { EgressRules } from '../../core/egress.ts'
import { createConfigOperations } from './config.ts'
import { createConnections, type StsFactory } from './connections.ts'
import type { IdentitySource } from './identity.ts'
import { parseRegion } from './regions.ts'
import { createRoleOperations } from './roles.ts'
import { createVendOperations } from './vend.ts'

export interface AwsEngineOptions {
  readonly clock: Clock
  readonly egress: EgressRules
  /** Whose credentials sign where a mount's `config/root` holds none. */
  readonly identity: IdentitySource
  /** Region where a mount names none; `us-east-1` unless given. */
  readonly region?: string
  /** What calls STS; the AWS SDK unless given. */
  readonly stsFor?: StsFactory
}

/** The AWS engine, which also lets go of its connections. */
export interface AwsEngine extends Engine {
  close (): void
}

/**
 * Credentials of AWS, minted by STS (contract 6). AWS cannot take an issued session back, so
 * `revoke` answers `expires`: the session lives until its own end.
 *
 * @throws Error where the settings cannot be used.
 */
export function createAwsEngine (options: AwsEngineOptions): AwsEngine {
  const { clock, egress, identity, region = 'us-east-1', stsFor } = options
  if (identity === 'chain' && !egress.development) throw new Error('the search through all sources of AWS credentials is for development only')
  if (parseRegion(region) === null) throw new Error('the region is not the name of an AWS region')
  const connections = createConnections({ clock, egress, identity, region, ...(stsFor !== undefined && { stsFor }) })
  return {
    type: 'aws',
    description: 'Gives short-lived credentials of AWS',
    operations: [
      ...createConfigOperations({ egress }),
      ...createRoleOperations(),
      ...createVendOperations({ connections, clock })
    ],
    revoke: async () => 'expires',
    close: () => { connections.close() }
  }
}
