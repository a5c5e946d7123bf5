/** What a client token says: a signed name for a record, and no rights (CRY-035). */
export interface TokenClaims {
  /** The 256-bit random name of the token; its first two characters are the shard. */
  readonly jti: string
  /** The accessors of the token's ancestors and its own, root first, separated by dots. */
  readonly sub: string
  /** Hard end, epoch seconds; absent for periodic and root tokens. */
  readonly exp?: number
}

/** Claims with the keyring term whose key signed them. */
export interface VerifiedClaims extends TokenClaims {
  readonly term: number
}

/** Signs and verifies client tokens as JWTs (RFC 7519), HS256 only; plugins/jwt.ts implements it. */
export interface TokenSigner {
  /** The active term, whose keys a new token is bound to. */
  readonly term: () => number
  /** Signs with the active term's key. */
  sign (claims: TokenClaims, nowMs: number): string
  /** Null for everything that is not exactly a token of this cluster; never throws, never explains. */
  verify (token: string, nowMs: number): VerifiedClaims | null
}
