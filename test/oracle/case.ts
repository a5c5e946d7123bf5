export type Json = string | number | boolean | null | Json[] | { [name: string]: Json }
export type Conditions = Record<string, Record<string, string | string[]>>

export interface StatementJson {
  Effect: 'Allow' | 'Deny'
  Principal?: '*' | Record<string, string | string[]>
  Action?: string | string[]
  NotAction?: string | string[]
  Resource?: string | string[]
  NotResource?: string | string[]
  Condition?: Conditions
}

export interface PolicyJson {
  Version: '2008-10-17' | '2012-10-17'
  Statement: StatementJson[]
}

/** A request and all policies that judge it, in a form that both evaluators are given. */
export interface Case {
  /** Which generator made it. */
  readonly kind: 'condition' | 'identity' | 'layers' | 'trust'
  readonly action: string
  readonly resource: string
  /** The account that owns the resource. */
  readonly account: string
  /** The caller's ARN: a user, an assumed-role session or a federated user. */
  readonly principal: string
  readonly context: Readonly<Record<string, string | string[]>>
  readonly identity: readonly PolicyJson[]
  readonly boundary: PolicyJson | null
  readonly session: PolicyJson | null
  /** The role's trust policy, for sts actions. */
  readonly trust: PolicyJson | null
}
