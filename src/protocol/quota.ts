/**
 * The fields that tell a caller how much it may still ask for: `RateLimit-Policy` and `RateLimit`, in the syntax of
 * draft-ietf-httpapi-ratelimit-headers-11 (lists of strings with parameters, RFC 9651).
 */

/** One quota of one caller. */
export interface Quota {
  /** Name of the policy, plain ASCII. */
  readonly policy: string;
  /** `q`: the most there is. */
  readonly most: number;
  /** `r`: what is left of it. */
  readonly left: number;
  /** `t`: whole seconds until there is more than `left`. */
  readonly seconds: number;
}

/** How many of something there may be at a time. Of the units that the draft registers, it is the one that fits. */
const AT_A_TIME = 'qu="concurrent-requests"';

/** Headers of a refusal because there are too many of something; `Retry-After` names the same moment as `t`. */
export function quotaHeaders({ policy, most, left, seconds }: Quota): Record<string, string> {
  return {
    "Retry-After": String(seconds),
    RateLimit: `"${policy}";r=${left};t=${seconds}`,
    "RateLimit-Policy": `"${policy}";q=${most};${AT_A_TIME}`,
  };
}
