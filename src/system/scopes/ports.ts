import type { MountStore, TtlBounds } from '../../core/backend.ts'
import type { Mount, RotationSettings } from '../../core/model.ts'
import type { RoleTerms } from './scope.ts'

/** An AppRole mount, as its roles are asked for. */
export interface RoleSite {
  readonly mount: Mount
  readonly store: MountStore
  readonly nowMs: number
  readonly ttlBounds: TtlBounds
}

/** A role and the incarnation that makes it the scope's. */
export interface ScopeRole {
  readonly name: string
  readonly incarnation: string
}

/** What is asked of a new secret_id; undefined: as the role has it. */
export interface SecretIdTerms {
  readonly metadata: string | undefined
  readonly cidrList: readonly string[]
  readonly tokenBoundCidrs: readonly string[]
  readonly numUses: number | undefined
  readonly ttlSeconds: number | undefined
}

/** A secret_id, known in clear this once. */
export interface NewSecretId {
  readonly secretId: string
  readonly accessor: string
  readonly record: { readonly ttlSeconds: number, readonly numUses: number }
}

/** What scopes ask of AppRole. */
export interface ScopeRoles {
  /** Judges a role and its first secret_id; answers warnings. @throws BrokerError also where the name is taken */
  judge (at: RoleSite, name: string, terms: RoleTerms, secretId: SecretIdTerms): Promise<readonly string[]>
  /** Answers the role_id. @throws BrokerError where somebody else's role has the name */
  make (at: RoleSite, role: ScopeRole, terms: RoleTerms & { readonly token_policies: string[] }): Promise<string>
  findRoleId (at: RoleSite, role: ScopeRole): Promise<string | null>
  makeSecretId (at: RoleSite, role: ScopeRole, terms: SecretIdTerms): Promise<NewSecretId>
  /** Lets nobody log in any more. Repeatable. */
  end (at: RoleSite, role: ScopeRole): Promise<void>
}

/** What scopes ask of the names that rotate. */
export interface ScopeNames {
  /** @throws BrokerError for settings that cannot be kept */
  check (settings: RotationSettings): void
  configure (mount: Mount, choose: () => RotationSettings): Promise<void>
}
