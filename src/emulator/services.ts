import type { UnsignedOperations } from './dispatch.ts'
import type { Judge } from './judge.ts'
import type { Service } from './service.ts'
import type { RandomSource } from './state/random.ts'
import type { Sessions } from './state/sessions.ts'
import type { Vault } from './state/vault.ts'
import type { World } from './state/world.ts'
import { createEc2 } from './ec2/service.ts'
import { createIam } from './iam/service.ts'
import { createRoute53 } from './route53.ts'
import { createS3 } from './s3.ts'
import { createIssuerKeys } from './sts/issuer-keys.ts'
import { createMfaChecker } from './sts/mfa.ts'
import { createSts } from './sts/service.ts'
import { createAssumeRoleWithWebIdentity } from './sts/web-identity.ts'

export interface ServiceParts {
  readonly world: World
  readonly sessions: Sessions
  readonly judge: Judge
  readonly vault: Vault
  readonly random: RandomSource
}

/** Every service that the one endpoint stands for. */
export function createServices (
  parts: ServiceParts
): { readonly services: readonly Service[], readonly unsigned: UnsignedOperations } {
  const mfa = createMfaChecker()
  return {
    services: [
      createSts({ ...parts, mfa }),
      createIam(parts),
      createEc2(parts),
      createRoute53(parts.judge),
      createS3(parts.judge)
    ],
    unsigned: {
      AssumeRoleWithWebIdentity: createAssumeRoleWithWebIdentity({ ...parts, mfa, issuerKeys: createIssuerKeys() })
    }
  }
}
