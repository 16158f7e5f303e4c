/** Stylesheets of the server's own pages are imported as text. */
declare module "*.css" {
  const text: string;
  export default text;
}
