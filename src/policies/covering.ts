import type { Matched } from './match.ts'
import type { MergedRule } from './merge.ts'
import type { Pattern } from './rule.ts'

/** Whether a rule grants these capabilities under no condition, and for good. */
export function suffices (rule: MergedRule | null, capabilities: number): boolean {
  return rule !== null && !rule.denied && !rule.restricted && rule.lasting &&
    (rule.capabilities & capabilities) === capabilities
}

/**
 * Whether every path that a pattern with wildcards can match is granted these capabilities by the
 * rules, under no condition and for good. It says yes only where that is certain: one rule has to hold
 * for all of the pattern, and no rule that may win over it on some of these paths may grant less
 * (contract 4.3), in whatever case a deny is written (SEC-012).
 */
export function coversPattern (
  rules: readonly MergedRule[], pattern: Pattern, capabilities: number, fold: (text: string) => string
): boolean {
  const holders = rules.filter((rule) => holdsFor(rule, pattern))
  const holder = holders.sort((a, b) => b.pattern.anchor.length - a.pattern.anchor.length)[0]
  if (holder === undefined || !suffices(holder, capabilities)) return false
  return rules.every((rule) => rule === holder || suffices(rule, capabilities) ||
    yields(rule, holder, pattern, rule.denied ? fold : asItIs))
}

const asItIs = (text: string) => text

/** Whether a rule fits all that a pattern fits: a prefix of it, or the very same. */
function holdsFor ({ pattern: own }: MergedRule, pattern: Pattern): boolean {
  if (own.kind === 'prefix' && pattern.anchor.startsWith(own.text)) return true
  return own.kind === pattern.kind && own.text === pattern.text && own.open === pattern.open
}

/** Whether a rule is never chosen where the pattern fits: it fits none of it, or always loses to the holder. */
function yields (rule: Matched, holder: Matched, pattern: Pattern, fold: (text: string) => string): boolean {
  const own = fold(rule.pattern.anchor)
  const asked = fold(pattern.anchor)
  // A list of `a/` is also decided by the rule for `a`.
  if (rule.pattern.kind === 'exact') return !own.startsWith(asked) && !`${own}/`.startsWith(asked)
  if (!own.startsWith(asked) && !asked.startsWith(own)) return true
  // A prefix fits the path of a list as it is asked; segments may fit only without the last slash, after shorter rules.
  return holder.pattern.kind === 'prefix' && own.length < fold(holder.pattern.anchor).length
}
