import type { Operations } from '../call.ts'
import type { Judge } from '../judge.ts'
import { queryProtocol, type Service } from '../service.ts'
import type { RandomSource } from '../state/random.ts'
import type { Vault } from '../state/vault.ts'
import type { World } from '../state/world.ts'
import { createUserOperations } from './users.ts'

/** What IAM operations need. */
export interface IamParts {
  readonly world: World
  readonly judge: Judge
  readonly vault: Vault
  readonly random: RandomSource
}

/** AWS Identity and Access Management, API 2010-05-08. */
export function createIam (parts: IamParts): Service {
  const operations: Operations = { ...createUserOperations(parts) }
  return {
    name: 'iam',
    version: '2010-05-08',
    eventSource: 'iam.amazonaws.com',
    operations,
    ...queryProtocol('https://iam.amazonaws.com/doc/2010-05-08/')
  }
}
